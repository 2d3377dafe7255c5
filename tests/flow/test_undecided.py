"""What an earlier process sent and no server knows is waited for by its own row alone."""

import json
import uuid
from pathlib import Path

from daemon.clock import SystemClock
from daemon.comfy.client import ComfyClient
from daemon.comfy.simulator import Simulator
from daemon.settle.settlement import ticket_of
from ledger.direct import DirectLedger
from ledger.status import IN_FLIGHT_STAGES, Stage
from ledger.task import Task
from tests.fakes.door import Door, open_door
from tests.fakes.records import batch_record, task_record
from tests.fakes.waiting import until
from tests.fakes.world import SMALL_GRAPH, World, small_world

#: Longer than any test takes: who waits for it never comes to an end.
SETTLE_SECONDS = 3600
ROWS = 6


def sent(stage: Stage, **fields: object) -> Task:
    """Return a task whose prompt an earlier process sent, or was about to send."""
    return task_record(
        1,
        stage,
        workflow_type="小图",
        server="gpu-0",
        attempt=1,
        comfyui_task_id=str(uuid.uuid4()),
        **fields,
    )


def left_behind(folder: Path, undecided: Task, *urls: str) -> World:
    """Return a world in which an earlier process left *undecided*, and rows that wait."""
    world = small_world(folder, *urls, max_in_flight=2)
    settings = world.config.read_text("utf-8")
    settings = settings.replace("settle_seconds = 0.3", f"settle_seconds = {SETTLE_SECONDS}")
    world.config.write_text(settings, encoding="utf-8")
    waiting = [task_record(number, workflow_type="小图") for number in range(2, ROWS + 2)]
    world.state.mkdir()
    with DirectLedger(world.ledger) as ledger:
        ledger.commit(batch_record(), undecided, *waiting, op="batch.accepted", actor="test")
    return world


async def all_others_are_done(door: Door) -> None:
    assert door.ledger is not None
    await until(lambda: door.ledger.counts()[Stage.DONE] == ROWS)


async def test_rows_of_all_servers_run_while_a_prompt_of_one_is_absent(tmp_path: Path) -> None:
    async with Simulator(tmp_path / "a") as one, Simulator(tmp_path / "b") as two:
        undecided = sent(Stage.QUEUED)
        world = left_behind(tmp_path / "world", undecided, one.url, two.url)
        async with open_door(world) as door:
            await all_others_are_done(door)
            assert door.ledger.task(undecided.task_id) == undecided
            answer = await door.post(f"/api/tasks/{undecided.task_id}/cancel")  # nor does a person
            assert answer.status == 200
            await until(lambda: door.ledger.counts()[Stage.CANCELLED] == 1)
        assert {*one.executions.per_task().values(), *two.executions.per_task().values()} == {1}
        assert len(one.executions) + len(two.executions) == ROWS
        assert min(len(one.executions), len(two.executions)) > 0
        assert world.verify() == []


async def test_a_submission_that_arrives_late_among_newer_ones_runs_once(tmp_path: Path) -> None:
    async with Simulator(tmp_path / "comfyui") as simulator:
        undecided = sent(Stage.SUBMITTING)
        world = left_behind(tmp_path / "world", undecided, simulator.url)
        async with open_door(world) as door:
            await all_others_are_done(door)
            assert door.ledger.task(undecided.task_id).stage in IN_FLIGHT_STAGES
            await arrive(undecided, simulator)
            await until(lambda: door.ledger.counts()[Stage.DONE] == ROWS + 1)
        assert simulator.executions.per_task() == dict.fromkeys(
            (f"img_20261121_{number:06}" for number in range(1, ROWS + 2)), 1
        )
        assert world.verify() == []


async def arrive(task: Task, simulator: Simulator) -> None:
    """Have the server take in what the earlier process sent."""
    graph = json.loads(SMALL_GRAPH)
    graph["40"]["inputs"]["filename_prefix"] = f"{task.output_prefix}/40"
    client = ComfyClient("late", simulator.url, clock=SystemClock())
    await client.submit(graph, ticket_of(task), "an earlier process")
    await client.close()
