"""kill -9 between what an operator asked for, what the server did, and what the ledger says."""

import asyncio
from pathlib import Path

import pytest

from daemon.comfy.simulator import Simulator
from ledger.status import Stage
from tests.fakes.world import World, finish

ROWS = [
    {
        "row_number": str(number),
        "product_name": f"p{number}",
        "workflow_type": "图片合成",
        "product_image": "pot.png",
        "model_image": "mei.png",
    }
    for number in (1, 2, 3)
]
BEFORE, AFTER = "comfy.cancel.before", "follow.carried_out"
TAKEN_BACK = "comfy.delete.before"
#: Longer than a command takes to start on a busy machine; what is interrupted costs no time.
LONG_SECONDS = {"stop": 6, "cancel": 30, "interrupt": 30}


async def one_inside_each_stage(world: World) -> None:
    async with asyncio.timeout(30):
        while not (world.stages()[Stage.RUNNING] and world.stages()[Stage.QUEUED]):
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("version", ["0.3.64", "0.33.0"])
@pytest.mark.parametrize(
    ("verb", "place", "ends"),
    [
        ("cancel", BEFORE, {Stage.CANCELLED: 1, Stage.DONE: 2}),
        ("cancel", AFTER, {Stage.CANCELLED: 1, Stage.DONE: 2}),
        ("stop", TAKEN_BACK, {Stage.DONE: 1, Stage.WAITING: 2}),
        ("stop", AFTER, {Stage.DONE: 1, Stage.WAITING: 2}),
        ("interrupt", BEFORE, {Stage.WAITING: 3}),
        ("interrupt", AFTER, {Stage.WAITING: 3}),
    ],
)
async def test_what_was_asked_for_is_done_after_a_kill_and_nothing_runs_twice(
    verb: str, place: str, ends: dict[Stage, int], version: str, tmp_path: Path
) -> None:
    if (version, place) == ("0.3.64", BEFORE):
        place = TAKEN_BACK  # that generation has no cancel by job
    seconds = LONG_SECONDS[verb]
    async with Simulator(
        tmp_path / "comfyui", version=version, seconds_per_job=seconds
    ) as simulator:
        world = World(tmp_path / "world", simulator.url, max_in_flight=2)
        world.drop("spring", ROWS)
        daemon = await world.daemon("run", ROWKEEPER_FAILPOINT=place)
        await one_inside_each_stage(world)
        (batch,) = world.batches()
        running = next(task for task in world.tasks() if task.stage is Stage.RUNNING)
        words = {
            "cancel": ("cancel", running.task_id),
            "stop": ("batch", batch.batch_id, "stop"),
            "interrupt": ("batch", batch.batch_id, "stop", "--interrupt"),
        }
        await world.run(*words[verb])  # the daemon may die before it has answered
        code, log = await finish(daemon, 20)
        assert code == -9, log
        asked = [task for task in world.tasks() if task.requested]
        assert asked
        assert all((task.requested_by or "").startswith("cli:") for task in asked)

        if verb != "interrupt":  # there what runs must not end before it is interrupted
            simulator.pace.seconds_per_job = 0.0
        await world.run("run", "--once")
        assert world.stages() == ends
        assert all(task.requested is None for task in world.tasks())
        assert world.verify() == []
        done = {task.task_id for task in world.tasks() if task.stage is Stage.DONE}
        runs = simulator.executions.per_task()
        assert {task_id: runs[task_id] for task_id in done} == dict.fromkeys(done, 1)
