"""A second stage takes one picture from the first stage, and every other one from the row."""

import hashlib
import json
from pathlib import Path

from daemon.comfy.simulator import Simulator
from tests.fakes.world import small_world

TYPE = """
[workflows."合影"]
template = "{template}"
[workflows."合影".inputs]
image = "first.image"
model_image = "second.image"
"""
GRAPH = {
    "1": {"class_type": "LoadImage", "_meta": {"title": "first"}, "inputs": {"image": "a.png"}},
    "2": {"class_type": "LoadImage", "_meta": {"title": "second"}, "inputs": {"image": "b.png"}},
    "3": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "x"}},
    "4": {"class_type": "SaveImage", "inputs": {"images": ["2", 0], "filename_prefix": "y"}},
}


async def test_only_the_column_image_takes_what_the_first_stage_made(tmp_path: Path) -> None:
    template = tmp_path / "pair.json"
    template.write_text(json.dumps(GRAPH), "utf-8")
    async with Simulator(tmp_path / "comfyui") as simulator:
        more = TYPE.format(template=template)
        world = small_world(tmp_path / "world", simulator.url, more=more)
        world.drop("spring", [{"workflow_type": "小图+合影", "model_image": "mei.png"}])
        assert await world.run_here() == 0
    first, second = world.tasks()
    model = next((world.state / "inbox").rglob("mei.png")).read_bytes()
    assert second.inputs["image"].sha256 == first.outputs[0].sha256
    assert second.inputs["model_image"].sha256 == hashlib.sha256(model).hexdigest()
    assert second.inputs["model_image"].name == "mei.png"
