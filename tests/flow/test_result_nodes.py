"""A workflow's result is what its named nodes save, whatever else it saves."""

import json
from pathlib import Path

from daemon.comfy.simulator import Simulator
from tests.fakes.world import SMALL_GRAPH, World, small_rows, small_world


def world_with_two_saving_nodes(folder: Path, url: str, more: str) -> World:
    world = small_world(folder, url, more=more)
    graph = json.loads(SMALL_GRAPH)
    graph["20"] = graph["40"] | {"_meta": {"title": "draft"}}
    (folder / "small.json").write_text(json.dumps(graph), "utf-8")
    return world


async def test_only_files_of_the_nodes_that_the_settings_name_are_the_result(
    tmp_path: Path,
) -> None:
    more = '[workflows."小图".outputs]\nimage = "output"\n'
    async with Simulator(tmp_path / "comfyui") as simulator:
        world = world_with_two_saving_nodes(tmp_path / "world", simulator.url, more)
        world.drop("spring", small_rows(2))
        assert await world.run_here() == 0
    assert [[each.node for each in task.outputs] for task in world.tasks()] == [["40"], ["40"]]
    assert len([*(world.state / "outputs").rglob("*.png")]) == 2
    assert world.verify() == []


async def test_without_a_name_every_node_that_saves_makes_a_part_of_the_result(
    tmp_path: Path,
) -> None:
    async with Simulator(tmp_path / "comfyui") as simulator:
        world = world_with_two_saving_nodes(tmp_path / "world", simulator.url, "")
        world.drop("spring", small_rows(1))
        assert await world.run_here() == 0
    assert [sorted(each.node for each in task.outputs) for task in world.tasks()] == [["20", "40"]]
