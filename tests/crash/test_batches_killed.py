"""Requirement 001: batches that a kill -9 broke off go on by themselves, and rows are retried."""

import asyncio
import hashlib
from collections import Counter
from pathlib import Path

import pytest

from daemon.comfy.simulator import Simulator
from ledger.batch import BatchStatus
from ledger.jsondir.reader import history
from ledger.status import IN_FLIGHT_STAGES, Stage
from ledger.task import Task
from tests.fakes.door import open_door
from tests.fakes.world import World, kill, small_rows, small_world

NAMES = ("spring", "summer", "autumn")
ROWS, URGENT = 16, 3


def in_stages(world: World, *stages: Stage) -> list[Task]:
    return [task for task in world.tasks() if task.stage in stages]


def remembered(world: World, tasks: list[Task]) -> dict[str, tuple[str | None, str]]:
    """Return, of each task, when it was processed and the hash of its file."""
    files = {task.task_id: world.state / task.output_files[0] for task in tasks}
    return {
        task.task_id: (
            task.processed_at,
            hashlib.sha256(files[task.task_id].read_bytes()).hexdigest(),
        )
        for task in tasks
    }


async def all_are_in_the_middle(world: World) -> None:
    """Wait until each batch has done and waiting rows."""
    async with asyncio.timeout(30):
        while len({task.batch_id for task in in_stages(world, Stage.DONE)}) < len(NAMES):
            await asyncio.sleep(0.02)
    assert len({task.batch_id for task in in_stages(world, Stage.WAITING)}) == len(NAMES)


async def one_has_just_begun(simulator: Simulator, world: World) -> None:
    """Wait until the ledger says running of a task that the server executes for long enough."""
    simulator.pace.seconds_per_job = 1
    earlier = len(simulator.executions)
    async with asyncio.timeout(30):
        while len(simulator.executions) == earlier or simulator.executions.all()[
            -1
        ].task_id not in {task.task_id for task in in_stages(world, Stage.RUNNING)}:
            await asyncio.sleep(0.02)


async def has_ended_everything(simulator: Simulator, world: World) -> None:
    """Wait until the server has executed all that it was given."""
    given = {task.task_id for task in in_stages(world, Stage.QUEUED, Stage.RUNNING)}
    async with asyncio.timeout(30):
        while True:
            ended = {run.task_id for run in simulator.executions.all() if run.ended_at}
            if given <= ended and all(run.ended_at for run in simulator.executions.all()):
                return
            await asyncio.sleep(0.02)


async def killed_in_the_middle(simulator: Simulator, world: World) -> None:
    """Let a daemon begin three batches and kill it; what the server has left goes quickly then."""
    for name in NAMES:
        world.drop(name, small_rows(ROWS, name, urgent=URGENT))
    await world.asked("server", "gpu-0", "drain")  # until all are accepted
    daemon = await world.daemon("run")
    try:
        async with asyncio.timeout(30):
            while len(world.batches()) < len(NAMES):
                await asyncio.sleep(0.02)
        await world.asked("server", "gpu-0", "resume")
        await all_are_in_the_middle(world)
        await one_has_just_begun(simulator, world)
    finally:
        await kill(daemon)
    simulator.pace.seconds_per_job = 0


async def test_three_batches_go_on_by_themselves_after_a_kill_and_each_row_runs_once(
    tmp_path: Path,
) -> None:
    async with Simulator(tmp_path / "comfyui", seconds_per_job=0.15) as simulator:
        world = small_world(tmp_path / "world", simulator.url)
        await killed_in_the_middle(simulator, world)
        assert {batch.status for batch in world.batches()} == {BatchStatus.RUNNING}
        before = remembered(world, in_stages(world, Stage.DONE))
        await has_ended_everything(simulator, world)
        wrongly_marked = in_stages(world, Stage.RUNNING)
        assert wrongly_marked

        async with open_door(world) as door:
            shown = await door.until(
                "/api/batches",
                lambda j: [each["status"] for each in j["batches"]] == ["completed"] * 3,
            )
        for batch in shown["batches"]:
            counts = batch["statistics"]
            assert (counts["rows"], counts["total"], counts["completed"]) == (ROWS, ROWS, ROWS)
            assert counts["failed"] == counts["pending"] == counts["processing"] == 0
            assert counts["stages"]["1"]["completed"] == ROWS
        assert simulator.executions.per_task() == Counter(
            {task.task_id: 1 for task in world.tasks()}
        )
        after = remembered(world, world.tasks())
        assert {task_id: after[task_id] for task_id in before} == before
        for task in wrongly_marked:
            story = history(world.ledger, task.task_id)
            assert [line.op for line in story].count("task.submitting") == 1
            assert story[-1].op == "task.done"
        assert {task.attempt for task in world.tasks()} == {1}
        assert world.verify() == []


async def test_what_the_killed_daemons_server_lost_meanwhile_is_run_again_and_nothing_else(
    tmp_path: Path,
) -> None:
    async with Simulator(tmp_path / "comfyui", seconds_per_job=0.15) as simulator:
        world = small_world(tmp_path / "world", simulator.url)
        await killed_in_the_middle(simulator, world)
        inside = {task.task_id for task in in_stages(world, *IN_FLIGHT_STAGES)}
        await simulator.restart()
        assert await world.run_here() == 0
        assert world.stages() == Counter({Stage.DONE: len(NAMES) * ROWS})
        good = Counter(run.task_id for run in simulator.executions.all() if run.result == "success")
        assert good == Counter({task.task_id: 1 for task in world.tasks()})
        again = {task.task_id for task in world.tasks() if task.attempt > 1}
        assert again <= inside
        assert world.verify() == []


@pytest.mark.parametrize("through", ["command", "http"])
async def test_failed_rows_are_retried_one_and_all_and_counts_and_history_are_right(
    through: str, tmp_path: Path
) -> None:
    async with Simulator(tmp_path / "comfyui") as simulator:
        simulator.faults.next("execution_error", 3)
        world = small_world(tmp_path / "world", simulator.url)
        world.drop("spring", small_rows(8))
        assert await world.run_here() == 1
        (batch,) = world.batches()
        assert batch.status is BatchStatus.COMPLETED
        first, *others = [task.task_id for task in in_stages(world, Stage.FAILED)]
        done = remembered(world, in_stages(world, Stage.DONE))

        if through == "command":
            code, one = await world.asked("retry", first)
            assert code == 0, one
            code, rest = await world.asked("batch", batch.batch_id, "retry-failed")
            assert code == 0, rest
        async with open_door(world) as door:
            path = f"/api/batches/{batch.batch_id}"
            if through == "http":
                one = (await door.post(f"{path}/executions/{first}/retry")).json
                rest = (await door.post(f"{path}/retry-failed")).json
            assert (one["retried_from"], one["retry_number"]) == (first, 1)
            assert rest["retried"] == len(others)
            shown = await door.until(path, lambda j: j["status"] == "completed")
            listed = (await door.get(f"{path}/failed-executions")).json

        counts = shown["statistics"]
        assert (counts["total"], counts["completed"], counts["failed"]) == (8, 8, 0)
        assert listed["failed_executions"] == []
        new = {first: one["new_task_id"], **dict(zip(others, rest["new_task_ids"], strict=True))}
        tasks = {task.task_id: task for task in world.tasks()}
        for old_id, new_id in new.items():
            old, retry = tasks[old_id], tasks[new_id]
            assert (old.stage, old.error_kind) == (Stage.FAILED, "execution_error")
            assert old.retry_count == 1
            assert (retry.stage, retry.retry_number, retry.error_message) == (Stage.DONE, 1, None)
            assert (retry.retried_from, retry.root_task_id) == (old_id, old_id)
            story = history(world.ledger, new_id)
            assert story[0].op == "task.retried"
            assert story[0].actor.startswith("api" if through == "http" else "cli:")
            assert [line.op for line in history(world.ledger, old_id)][-2:] == [
                "task.fail",
                "task.retried",
            ]
        assert {key: remembered(world, [tasks[key]])[key] for key in done} == done
        assert simulator.executions.per_task() == Counter(dict.fromkeys(tasks, 1))
        assert world.verify() == []
