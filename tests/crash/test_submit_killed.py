"""kill -9 of `submit` without a daemon, anywhere: the drop is there once, or decided once."""

import asyncio
from collections import Counter
from pathlib import Path

import pytest
from PIL import Image

from daemon.comfy.simulator import Simulator
from tests.fakes.world import World, small_world

#: At once, of a machine with few cores.
TOGETHER = 4


def make_files(folder: Path) -> list[str]:
    """A job file with a picture and a row that cannot run, and one that is unreadable."""
    folder.mkdir()
    Image.new("RGB", (8, 8)).save(folder / "a.png")
    rows = "product_name,workflow_type,note\nx,小图,a.png\ny,小图,a.png\nz,画画,a.png\n"
    (folder / "spring.csv").write_text(rows, "utf-8")
    pair = "product_name,workflow_type,product_image,model_image\nv,图片合成,a.png,a.png\n"
    (folder / "pair.csv").write_text(pair, "utf-8")
    (folder / "broken.json").write_text("{")
    return [str(folder / name) for name in ("spring.csv", "pair.csv", "broken.json")]


async def places_of(folder: Path, files: list[str]) -> list[str]:
    """What a submission passes, each place at its first and last time."""
    world, reached = small_world(folder / "world", "http://127.0.0.1:1"), folder / "reached"
    code, said = await world.run("submit", *files, ROWKEEPER_FAILPOINT_RECORD=str(reached))
    assert code == 1, said
    counts = Counter(reached.read_text("utf-8").split())
    assert {"intake.picture_kept", "intake.after_commit", "intake.forgotten"} < counts.keys()
    return [f"{name}@{n}" for name, count in counts.items() for n in sorted({1, count})]


async def killed_and_gone_on(world: World, place: str, files: list[str]) -> None:
    """A killed command, the same one once more, then a daemon that runs what is to be run."""
    code, said = await world.run("submit", *files, ROWKEEPER_FAILPOINT=place)
    assert code == -9, said
    code, said = await world.run("submit", *files)
    assert code == 1, said
    code, said = await world.run("run", "--once")
    assert "3 done, 0 failed" in said, (code, said)  # 1 when it was the one to reject rows
    assert Counter(task.product_name for task in world.tasks()) == Counter("xyv")
    assert set(map(str, world.stages())) == {"done"}
    assert world.verify() == []
    ours = {"accepted", "rejected", "duplicates"}
    left = {path.name for path in world.inbox.iterdir()} - ours
    assert all(name.startswith(".submit-") for name in left), left


@pytest.mark.timeout(600)
async def test_killed_anywhere_a_submission_is_made_good_and_no_row_runs_twice(
    tmp_path: Path,
) -> None:
    files = make_files(tmp_path / "mine")
    (tmp_path / "places").mkdir()
    places = await places_of(tmp_path / "places", files)
    few = asyncio.Semaphore(TOGETHER)

    async def try_at(number: int, place: str) -> None:
        folder = tmp_path / str(number)
        async with few, Simulator(folder / "comfyui", seconds_per_job=0) as simulator:
            world = small_world(folder / "world", simulator.url)
            await killed_and_gone_on(world, place, files)
            assert set(simulator.executions.per_task().values()) == {1}, place

    results = await asyncio.gather(
        *(try_at(*each) for each in enumerate(places)), return_exceptions=True
    )
    failed = [(each, repr(error)) for each, error in zip(places, results, strict=True) if error]
    assert failed == []
