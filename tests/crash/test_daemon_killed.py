"""The real daemon is killed with SIGKILL at every place where it could be; nothing is lost."""

import asyncio
import random
import signal
from collections import Counter
from pathlib import Path

import pytest

from daemon.comfy.simulator import Simulator
from ledger.status import Stage
from tests.fakes.world import TWO_ROWS, World, executions, finish, kill

SHARDS = 8
RANDOM_KILLS = 40
TASKS = 3  # a picture, and a picture with its video


def assert_done_once(world: World, simulated: Path) -> None:
    """Every row is done, every task was executed exactly once, and the ledger is whole."""
    assert world.stages() == Counter({Stage.DONE: TASKS})
    assert executions(simulated) == Counter({task.task_id: 1 for task in world.tasks()})
    assert world.verify() == []
    assert not list(world.state.rglob("*.part"))
    assert not [path for path in world.inbox.iterdir() if path.is_file()]


async def finish_the_work(world: World) -> None:
    code, log = await world.run("run", "--once")
    assert code == 0, log


@pytest.fixture(scope="session")
def places(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Failpoints that one run of the two rows passes, each as ``NAME@N``.

    After each durable change, and the first and last time at every other place.
    """
    folder = tmp_path_factory.mktemp("places")
    record = folder / "reached"

    async def record_them() -> None:
        async with Simulator(folder / "comfyui") as simulator:
            world = World(folder / "world", simulator.url)
            world.drop("spring", TWO_ROWS)
            code, log = await world.run("run", "--once", ROWKEEPER_FAILPOINT_RECORD=str(record))
            assert code == 0, log

    asyncio.run(record_them())
    counts = Counter(record.read_text("utf-8").split())
    chosen = []
    for name, count in sorted(counts.items()):
        numbers = range(1, count + 1) if name == "journal.after_sync" else {1, count}
        chosen += [f"{name}@{number}" for number in sorted(numbers)]
    assert len(counts) > 25, counts  # the ledger, the door, the calls and the downloads
    return chosen


@pytest.mark.timeout(400)
@pytest.mark.parametrize("shard", range(SHARDS))
async def test_killed_at_any_write_point_every_row_is_done_exactly_once(
    shard: int, places: list[str], tmp_path: Path
) -> None:
    for number, place in enumerate(places[shard::SHARDS]):
        folder = tmp_path / str(number)
        async with Simulator(folder / "comfyui") as simulator:
            world = World(folder / "world", simulator.url)
            world.drop("spring", TWO_ROWS)
            code, log = await world.run("run", "--once", ROWKEEPER_FAILPOINT=place)
            assert code in (-signal.SIGKILL, 0), (place, log)  # the last ones may not come again
            await finish_the_work(world)
            try:
                assert_done_once(world, folder / "comfyui")
            except AssertionError as error:
                raise AssertionError(f"killed at {place}: {error}") from error


@pytest.mark.timeout(400)
@pytest.mark.parametrize("shard", range(SHARDS))
async def test_killed_at_random_again_and_again_every_row_is_done_exactly_once(
    shard: int, tmp_path: Path
) -> None:
    luck = random.Random(shard)
    async with Simulator(tmp_path / "comfyui", seconds_per_job=0.1) as simulator:
        world = World(tmp_path / "world", simulator.url)
        world.drop("spring", TWO_ROWS)
        for _ in range(RANDOM_KILLS // SHARDS):
            process = await world.daemon("run")
            await asyncio.sleep(luck.uniform(0.2, 1.6))  # the kill's instant is the experiment
            await kill(process)
        await finish_the_work(world)
        assert_done_once(world, tmp_path / "comfyui")


async def test_a_graceful_stop_leaves_gpu_work_running_and_the_next_start_finds_it(
    tmp_path: Path,
) -> None:
    async with Simulator(tmp_path / "comfyui", seconds_per_job=3.0) as simulator:
        world = World(tmp_path / "world", simulator.url)
        world.drop("spring", TWO_ROWS[:1])
        process = await world.daemon("run")
        while not (tmp_path / "comfyui" / "executions.jsonl").exists():
            await asyncio.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        code, log = await finish(process, seconds=8)
        assert code == 0, log
        assert next(task.stage for task in world.tasks()) in (Stage.QUEUED, Stage.RUNNING)
        await finish_the_work(world)
        assert world.stages() == Counter({Stage.DONE: 1})
        assert executions(tmp_path / "comfyui").total() == 1
