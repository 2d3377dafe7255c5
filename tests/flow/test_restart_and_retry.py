"""Requirements 002 and 003, and what a batch and a cancel come to: the real daemon's whole chain."""

import asyncio
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest

from daemon.comfy.simulator import Simulator
from ledger.batch import BatchStatus
from ledger.jsondir.reader import history
from ledger.status import Stage
from ledger.task import Task
from ledger.timestamps import to_timestamp
from tests.fakes.door import Answer, Door, open_door
from tests.fakes.world import TWO_ROWS, World, kill, small_rows, small_world

CHECK, RECOVERY = "/api/diagnosis/tasks/status-check", "/api/diagnosis/tasks/recovery"
GENERATIONS = pytest.mark.parametrize("version", ["0.3.64", "0.33.0"])


def ledger_bytes(world: World) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in world.ledger.rglob("*") if path.is_file()}


async def ends(door: Door, task_id: str, stage: Stage) -> None:
    await door.until(f"/api/tasks/{task_id}", lambda task: task["stage"] == stage.value)


async def only_task(door: Door) -> str:
    document = await door.until("/api/tasks", lambda j: len(j["tasks"]) == 1)
    return str(document["tasks"][0]["task_id"])


async def retried_twice_at_once(door: Door, task_id: str) -> str:
    """Post two retries at the same moment; return the id of the one task that was made."""
    answers = await asyncio.gather(*(door.post(f"/api/tasks/{task_id}/retry") for _ in range(2)))
    made, refused = sorted(answers, key=lambda answer: answer.status)
    assert (made.status, refused.status) == (200, 409)
    assert refused.code == "retry_family_open"
    return str(made.json["new_task_id"])


async def test_the_third_retry_succeeds_and_every_member_shows_the_whole_family(
    tmp_path: Path,
) -> None:
    async with Simulator(tmp_path / "comfyui") as simulator:
        simulator.faults.set("execution_error")
        world = small_world(tmp_path / "world", simulator.url)
        world.drop("spring", small_rows(1))
        async with open_door(world) as door:
            line = [await only_task(door)]
            await ends(door, line[0], Stage.FAILED)
            for number in (1, 2, 3):
                if number == 3:
                    simulator.faults.clear()  # the environment is repaired
                line.append(await retried_twice_at_once(door, line[-1]))
                await ends(door, line[-1], Stage.DONE if number == 3 else Stage.FAILED)
            for number, task_id in enumerate(line):
                task = (await door.get(f"/api/tasks/{task_id}")).json
                assert task["family"] == line
                assert task["retried_from"] == (line[number - 1] if number else None)
                assert (task["root_task_id"], task["retry_number"]) == (line[0], number)
                assert task["retry_count"] == (0 if number == 3 else 1)
                refused = await door.post(f"/api/tasks/{task_id}/retry")
                code = "retry_done" if number == 3 else "retry_family_done"
                assert (refused.status, refused.code) == (409, code)
            (batch,) = (await door.get("/api/batches")).json["batches"]
            counts = batch["statistics"]
            assert (counts["total"], counts["completed"], counts["failed"]) == (1, 1, 0)
        code, shown = await world.run("task", line[1])
        assert code == 0
        assert all(task_id in shown for task_id in line)
        assert simulator.executions.per_task() == Counter(dict.fromkeys(line, 1))
        assert world.verify() == []


async def test_a_retry_without_its_inputs_is_refused_with_their_names_before_anything_starts(
    tmp_path: Path,
) -> None:
    async with Simulator(tmp_path / "comfyui") as simulator:
        simulator.faults.set("execution_error")
        world = World(tmp_path / "world", simulator.url, max_auto_retries=0)
        world.drop("spring", TWO_ROWS[:1])
        async with open_door(world) as door:
            task_id = await only_task(door)
            await ends(door, task_id, Stage.FAILED)
            await door.until("/api/batches", lambda j: j["batches"][0]["status"] == "completed")
            simulator.faults.clear()
            for path in (world.state / "inputs" / "sha256").rglob("*"):
                if path.is_file():
                    path.unlink()
            before, runs = (world.tasks(), world.batches()), len(simulator.executions)
            (batch,) = before[1]
            for path in (f"/api/tasks/{task_id}/retry", f"/api/batches/{batch.batch_id}/rerun"):
                refused = await door.post(path, {})
                assert (refused.status, refused.code) == (409, "files_gone")
                assert "mei.png, pot.png" in refused.json["error"]["message"]
                assert refused.json["error"]["hint"]
        code, refusal = await world.asked("retry", task_id)
        assert (code, refusal["error"]["code"]) == (1, "files_gone")
        assert len(simulator.executions) == runs
        assert (world.tasks(), world.batches()) == before
        assert history(world.ledger, task_id)[-1].op == "task.fail"


class Wards:
    """Three tasks marked running: one that no server knows, one over its limit, one consistent."""

    def __init__(self, unknown: Task, slow: Task, healthy: Task) -> None:
        self.unknown, self.slow, self.healthy = (task.task_id for task in (unknown, slow, healthy))


async def three_marked_running(door: Door) -> Wards:
    """Put them into the ledger of a daemon that polls its two servers once an hour."""
    assert door.ledger is not None
    async with asyncio.timeout(20):
        while len(door.ledger.in_stage(Stage.RUNNING)) < 2 or len(list(door.ledger.tasks())) < 3:
            await asyncio.sleep(0.02)
    slow, healthy = door.ledger.in_stage(Stage.RUNNING)
    (unknown,) = door.ledger.in_stage(Stage.WAITING)
    long_ago = to_timestamp(datetime.now(UTC) - timedelta(hours=2))
    prompt_id, server = str(uuid4()), healthy.server
    for stage in (Stage.SUBMITTING, Stage.QUEUED, Stage.RUNNING):
        unknown = unknown.moved(
            stage, at=long_ago, server=server, attempt=1, comfyui_task_id=prompt_id
        )
        await door.ledger.commit(unknown, op="test.marked")
    slow = slow.changed(at=long_ago, started_at=long_ago)
    await door.ledger.commit(slow, op="test.marked")
    return Wards(unknown, slow, healthy)


async def both(door: Door, path: str) -> list[Answer]:
    return list(await asyncio.gather(door.post(path), door.post(path)))


async def test_of_three_marked_running_exactly_the_right_ones_are_reset_and_each_once(
    tmp_path: Path,
) -> None:
    async with (
        Simulator(tmp_path / "one", seconds_per_job=60) as one,
        Simulator(tmp_path / "two", seconds_per_job=60) as two,
    ):
        world = small_world(tmp_path / "world", one.url, two.url, max_in_flight=1)
        text = world.config.read_text("utf-8").replace("poll_seconds = 0.2", "poll_seconds = 3600")
        world.config.write_text(text, "utf-8")
        world.drop("spring", small_rows(3))
        async with open_door(world) as door:
            wards = await three_marked_running(door)
            before = ledger_bytes(world)
            check = (await door.get(CHECK, headers={"Accept-Language": "en"})).json
            assert ledger_bytes(world) == before
            why = {task["id"]: task["stuck_reason"] for task in check["running_tasks"]}
            assert "neither queue nor history" in why[wards.unknown]
            assert "the limit is 30" in why[wards.slow]
            assert why[wards.healthy] is None
            assert (check["total_running"], check["total_stuck"]) == (3, 2)

            for token, code in ((None, "token_missing"), ("wrong" * 5, "token_wrong")):
                refused = await door.post(RECOVERY, token=token)
                assert (refused.status, refused.code) == (401, code)
            assert ledger_bytes(world) == before

            answers = await both(door, RECOVERY)
            reset = [each for answer in answers for each in answer.json["reset_task_ids"]]
            assert reset == [wards.unknown]
            for task_id in (wards.slow, wards.healthy):
                assert (await door.get(f"/api/tasks/{task_id}")).json["stage"] == "running"

            answers = await both(door, f"{RECOVERY}?force_reset=true")
            reset = [each for answer in answers for each in answer.json["reset_task_ids"]]
            assert sorted(reset) == sorted([wards.slow, wards.healthy])
        resets = Counter(
            task.task_id
            for task in world.tasks()
            for line in history(world.ledger, task.task_id)
            if line.op in ("task.run_again", "task.as_requested", "task.reset")
        )
        assert resets == Counter({wards.unknown: 1, wards.slow: 1, wards.healthy: 1})
        assert world.verify() == []


async def test_two_recoveries_by_command_at_once_reset_each_lost_task_once(tmp_path: Path) -> None:
    async with Simulator(tmp_path / "comfyui", seconds_per_job=60) as simulator:
        world = small_world(tmp_path / "world", simulator.url, max_in_flight=3)
        world.drop("spring", small_rows(5))
        daemon = await world.daemon("run")
        try:
            async with asyncio.timeout(30):
                while not (world.stages()[Stage.RUNNING] and world.stages()[Stage.QUEUED] == 2):
                    await asyncio.sleep(0.02)
        finally:
            await kill(daemon)
        lost = [task.task_id for task in world.tasks() if task.stage is not Stage.WAITING]
        await simulator.restart()  # no server knows them any more
        answers = await asyncio.gather(world.asked("recover"), world.asked("recover"))
        assert [code for code, _ in answers] == [0, 0]
        assert sorted(task_id for _, said in answers for task_id in said["reset_task_ids"]) == lost
        assert world.stages() == Counter({Stage.WAITING: 5})
        assert len(list((world.state / "ledger-backups").iterdir())) == 1
        assert world.verify() == []


async def test_a_paused_batch_is_paused_after_a_kill_until_it_is_resumed(tmp_path: Path) -> None:
    async with Simulator(tmp_path / "comfyui", seconds_per_job=0.1) as simulator:
        world = small_world(tmp_path / "world", simulator.url, max_in_flight=2)
        world.drop("spring", small_rows(12))
        daemon = await world.daemon("run")
        try:
            async with asyncio.timeout(30):
                while world.stages()[Stage.DONE] < 2:
                    await asyncio.sleep(0.02)
            simulator.pace.seconds_per_job = 2  # enough is left when the command arrives
            (batch,) = world.batches()
            code, answer = await world.asked("batch", batch.batch_id, "pause")
            assert (code, answer["status"]) == (0, "paused")
        finally:
            await kill(daemon)
        waiting = {task.task_id for task in world.tasks() if task.stage is Stage.WAITING}
        assert waiting
        simulator.pace.seconds_per_job = 0

        async with open_door(world) as door:
            path = f"/api/batches/{batch.batch_id}"
            shown = await door.until(path, lambda j: j["statistics"]["processing"] == 0)
            counts = shown["statistics"]
            assert (shown["status"], counts["pending"]) == ("paused", len(waiting))
            assert counts["completed"] == 12 - len(waiting)  # what was inside went on to its end
            assert not waiting & simulator.executions.per_task().keys()
            code, answer = await world.asked("batch", batch.batch_id, "resume")
            assert (code, answer["status"]) == (0, "running")
            await door.until(path, lambda j: j["status"] == "completed")
        assert world.batches()[0].status is BatchStatus.COMPLETED
        assert simulator.executions.per_task() == Counter(
            {task.task_id: 1 for task in world.tasks()}
        )


@GENERATIONS
async def test_a_task_is_cancelled_waiting_queued_and_running_and_the_others_stay(
    version: str, tmp_path: Path
) -> None:
    async with Simulator(tmp_path / "comfyui", version=version, seconds_per_job=60) as simulator:
        world = small_world(tmp_path / "world", simulator.url, max_in_flight=2)
        world.drop("spring", small_rows(5))
        async with open_door(world) as door:
            cancelled = []
            for stage in (Stage.WAITING, Stage.QUEUED, Stage.RUNNING):
                # two are sent at once: which of them the server began must be known
                await door.until(f"/api/tasks?status={Stage.RUNNING.value}", lambda j: j["tasks"])
                shown = await door.until(f"/api/tasks?status={stage.value}", lambda j: j["tasks"])
                cancelled.append(shown["tasks"][-1]["task_id"])
                answer = await door.post(f"/api/tasks/{cancelled[-1]}/cancel")
                assert (answer.status, answer.json["changed"]) == (200, True)
                await ends(door, cancelled[-1], Stage.CANCELLED)
                again = await door.post(f"/api/tasks/{cancelled[-1]}/cancel")
                assert (again.json["changed"], again.json["stage"]) == (False, "cancelled")
            simulator.pace.seconds_per_job = 0
            left = await door.until("/api/tasks?status=running", lambda j: j["tasks"])
            await door.post(f"/api/tasks/{left['tasks'][0]['task_id']}/cancel")
            await door.until("/api/batches", lambda j: j["batches"][0]["status"] == "completed")
        assert world.stages() == Counter({Stage.CANCELLED: 4, Stage.DONE: 1})
        runs = simulator.executions.all()
        assert Counter(run.result for run in runs) == Counter({"interrupted": 2, "success": 1})
        assert not {run.task_id for run in runs} & set(cancelled[:2])
        assert world.verify() == []


@GENERATIONS
async def test_a_submission_that_is_under_way_is_cancelled_once_the_server_has_it(
    version: str, tmp_path: Path
) -> None:
    async with Simulator(tmp_path / "comfyui", version=version, seconds_per_job=60) as simulator:
        simulator.faults.next("slow_accept", seconds=1)
        world = small_world(tmp_path / "world", simulator.url)
        world.drop("spring", small_rows(1))
        async with open_door(world) as door:
            task_id = await only_task(door)
            await ends(door, task_id, Stage.SUBMITTING)
            answer = await door.post(f"/api/tasks/{task_id}/cancel")
            assert (answer.json["stage"], answer.json["requested"]) == ("submitting", "cancel")
            await ends(door, task_id, Stage.CANCELLED)
        assert {run.result for run in simulator.executions.all()} <= {"interrupted"}
        assert world.verify() == []


@GENERATIONS
async def test_what_is_being_fetched_or_has_ended_stays_and_the_answer_says_so(
    version: str, tmp_path: Path
) -> None:
    async with Simulator(tmp_path / "comfyui", version=version) as simulator:
        simulator.faults.set("truncated_view")
        world = small_world(tmp_path / "world", simulator.url)
        world.drop("spring", small_rows(1))
        async with open_door(world) as door:
            task_id = await only_task(door)
            await ends(door, task_id, Stage.COLLECTING)
            for stage in (Stage.COLLECTING, Stage.DONE):
                answer = await door.post(f"/api/tasks/{task_id}/cancel")
                assert (answer.status, answer.json["changed"]) == (200, False)
                assert (answer.json["stage"], answer.json["requested"]) == (stage.value, None)
                assert answer.json["message"]
                simulator.faults.clear()
                await ends(door, task_id, Stage.DONE)
        assert simulator.executions.per_task() == Counter({task_id: 1})
