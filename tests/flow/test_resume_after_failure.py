"""Requirement 000 with its numbers: a batch that broke off goes on with exactly what is left."""

import asyncio
import hashlib
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pytest

from daemon.comfy.simulator import Simulator
from ledger.batch import BatchStatus
from ledger.status import Stage
from ledger.task import Task
from tests.fakes.world import World, small_rows, small_world


def task_id(number: int) -> str:
    return f"img_{datetime.now(UTC):%Y%m%d}_{number:06}"


def remembered(world: World, tasks: list[Task]) -> dict[str, tuple[str | None, str]]:
    """Return, of each task, when it was processed and the hash of its file."""
    return {
        task.task_id: (
            task.processed_at,
            hashlib.sha256((world.state / task.output_files[0]).read_bytes()).hexdigest(),
        )
        for task in tasks
    }


def by_stage(world: World) -> dict[Stage, list[Task]]:
    found: dict[Stage, list[Task]] = {stage: [] for stage in Stage}
    for task in world.tasks():
        found[task.stage].append(task)
    return found


@pytest.mark.timeout(300)
async def test_3000_rows_break_off_at_about_1200_and_resume_runs_exactly_the_rest(
    tmp_path: Path,
) -> None:
    scattered = [25 * number for number in range(1, 41)]  # 40 errors, each followed by successes
    streak = list(range(1201, 1221))
    async with Simulator(tmp_path / "comfyui") as simulator:
        for number in scattered + streak:
            simulator.faults.set("execution_error", target=task_id(number))
        world = small_world(tmp_path / "world", simulator.url)
        world.drop("spring", small_rows(3000))
        assert await world.run_here(seconds=200) == 1

        (batch,) = world.batches()
        broken_off = by_stage(world)
        assert batch.status is BatchStatus.FAILED
        assert 10 <= len(broken_off[Stage.FAILED]) - len(scattered) <= 14  # 4 were in flight
        waiting = len(broken_off[Stage.WAITING])
        assert 1750 <= waiting <= 1800
        assert len(broken_off[Stage.DONE]) == 3000 - waiting - len(broken_off[Stage.FAILED])
        before = remembered(world, broken_off[Stage.DONE])
        failed = {task.task_id: task for task in broken_off[Stage.FAILED]}
        runs = simulator.executions.per_task()

        simulator.faults.clear()
        code, told = await world.run("batch", batch.batch_id, "resume")
        assert code == 0, told
        assert await world.run_here(seconds=200) == 0

        (batch,) = world.batches()
        after = by_stage(world)
        assert batch.status is BatchStatus.COMPLETED
        assert len(after[Stage.DONE]) == 3000 - len(failed)
        assert {task.task_id: task for task in after[Stage.FAILED]} == failed
        assert {
            key: value
            for key, value in remembered(world, after[Stage.DONE]).items()
            if key in before
        } == before
        again = simulator.executions.per_task() - runs
        assert again == Counter({task.task_id: 1 for task in broken_off[Stage.WAITING]})
        assert world.verify() == []


async def test_100_rows_stopped_at_30_go_on_where_they_were(tmp_path: Path) -> None:
    async with Simulator(tmp_path / "comfyui", seconds_per_job=0.06) as simulator:
        world = small_world(tmp_path / "world", simulator.url)
        world.drop("spring", small_rows(100))
        daemon = await world.daemon("run")
        async with asyncio.timeout(30):
            while world.stages()[Stage.DONE] < 30:
                await asyncio.sleep(0.02)
        (batch,) = world.batches()
        code, told = await world.run("batch", batch.batch_id, "stop")
        assert code == 0, told
        async with asyncio.timeout(30):
            while world.stages()[Stage.DONE] + world.stages()[Stage.WAITING] < 100:
                await asyncio.sleep(0.02)
        stopped = by_stage(world)
        before = remembered(world, stopped[Stage.DONE])
        assert 30 <= len(before) < 100  # how many more depends on how fast the command starts
        daemon.terminate()
        await daemon.wait()

        code, told = await world.run("batch", batch.batch_id, "resume")
        assert code == 0, told
        assert await world.run_here() == 0
        after = by_stage(world)
        assert len(after[Stage.DONE]) == 100
        assert remembered(world, stopped[Stage.DONE]) == before
        assert simulator.executions.per_task() == Counter(
            {task.task_id: 1 for task in world.tasks()}
        )


@pytest.mark.timeout(200)
async def test_a_server_that_dies_at_1200_fails_no_row_and_the_batch_goes_on_by_itself(
    tmp_path: Path,
) -> None:
    async with Simulator(tmp_path / "comfyui") as simulator:
        world = small_world(tmp_path / "world", simulator.url)
        world.drop("spring", small_rows(1500))
        running = asyncio.create_task(world.run_here(seconds=180))
        async with asyncio.timeout(120):
            while world.stages()[Stage.DONE] < 1200:
                await asyncio.sleep(0.2)
        await simulator.stop()
        async with asyncio.timeout(30):
            while [batch.held for batch in world.batches()] != ["server_unreachable"]:
                await asyncio.sleep(0.1)
        (batch,) = world.batches()
        assert batch.status is BatchStatus.RUNNING
        assert world.stages()[Stage.FAILED] == 0
        await simulator.start()
        assert await running == 0
        assert world.stages() == Counter({Stage.DONE: 1500})
        assert world.verify() == []
