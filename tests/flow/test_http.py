"""The HTTP door of the real daemon, with the simulator behind it: reading and every verb."""

import asyncio
import re
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from urllib.parse import quote

import msgspec
import pytest

from daemon.comfy.simulator import Simulator
from daemon.web.paging import cursor_behind
from ledger.batch import BatchStatus
from ledger.status import Stage
from ledger.timestamps import from_timestamp, to_timestamp
from tests.fakes.door import Door, open_door
from tests.fakes.records import AT, batch_record, task_record
from tests.fakes.waiting import until
from tests.fakes.world import TWO_ROWS, World

BATCH = "spring-abc234"


@pytest.fixture
async def simulator(tmp_path: Path) -> AsyncIterator[Simulator]:
    async with Simulator(tmp_path / "comfyui") as simulator:
        yield simulator


@pytest.fixture
def world(tmp_path: Path, simulator: Simulator) -> World:
    return World(tmp_path / "world", simulator.url, max_auto_retries=0)


@pytest.fixture
async def door(world: World) -> AsyncIterator[Door]:
    async with open_door(world) as door:
        yield door


async def record(door: Door, *stages: Stage, status: str = "paused") -> list[str]:
    """Put a batch with a task in each of *stages* into the daemon's ledger; returns their ids.

    The server is drained first: nothing moves by itself.
    """
    assert door.ledger is not None
    await door.post("/api/servers/gpu-0/drain")
    tasks = [task_record(n, stage) for n, stage in enumerate(stages, 1)]
    await door.ledger.commit(batch_record(status=BatchStatus(status)), *tasks, op="batch.accepted")
    return [task.task_id for task in tasks]


async def test_a_drop_is_shown_from_its_batch_down_to_its_files(world: World, door: Door) -> None:
    world.drop("spring", TWO_ROWS)
    (batch,) = (
        await door.until(
            "/api/batches", lambda j: j["batches"] and j["batches"][0]["status"] == "completed"
        )
    )["batches"]
    path = f"/api/batches/{quote(batch['batch_id'])}"
    shown = (await door.get(path)).json
    assert set(shown.pop("gpu_seconds")) == {row["product_name"] for row in TWO_ROWS}
    assert shown.items() <= batch.items()
    assert batch["statistics"]["completed"] == batch["statistics"]["total"] == 3
    tasks = (await door.get(f"/api/tasks?batch={batch['batch_id']}&status=done")).json["tasks"]
    assert [task["status"] for task in tasks] == ["已完成"] * 3
    first = (await door.get(f"/api/tasks/{tasks[0]['task_id']}")).json
    assert first["family"] == [first["task_id"]]
    assert first["history"][0]["op"] == "batch.accepted"
    assert first["history"][-1]["op"] == "task.done"
    history = (await door.get(f"/api/tasks/{first['task_id']}/history")).json
    assert history == {"history": first["history"]}
    file = await door.get(f"/outputs/{first['task_id']}/0")
    on_disk = (world.state / first["output_files"][0]).read_bytes()
    assert file.body == on_disk
    assert file.headers["Content-Type"] == "image/png"
    part = await door.get(f"/outputs/{first['task_id']}/0", headers={"Range": "bytes=5-9"})
    assert (part.status, part.body) == (206, on_disk[5:10])
    video = next(task for task in tasks if task["task_id"].startswith("vid_"))
    shown = await door.get(f"/outputs/{video['task_id']}/0")
    assert shown.headers["Content-Type"] == "video/mp4"


async def test_the_task_document_is_the_record_of_the_ledger(world: World, door: Door) -> None:
    (task_id,) = await record(door, Stage.FAILED)
    document = (await door.get(f"/api/tasks/{task_id}")).json
    expected = msgspec.json.decode(msgspec.json.encode(world.tasks()[0]))
    assert {key: document[key] for key in expected} == expected


async def test_a_batch_is_paused_resumed_and_stopped_and_says_how_it_stands(door: Door) -> None:
    await record(door, Stage.DONE, Stage.FAILED, Stage.WAITING, status="running")
    for verb, status in (("pause", "paused"), ("resume", "running"), ("stop", "stopped")):
        answer = await door.post(f"/api/batches/{BATCH}/{verb}")
        assert answer.status == 200, answer.body
        assert answer.json["success"]
        assert answer.json["changed"]
        assert answer.json["status"] == status
        assert answer.json["statistics"]["failed"] == 1
    again = await door.post(f"/api/batches/{BATCH}/stop")
    assert again.json["changed"] is False
    assert (await door.get(f"/api/batches/{BATCH}")).json["status"] == "stopped"


async def test_a_wrong_state_is_409_with_a_hint_in_the_language_asked_for(door: Door) -> None:
    await record(door, Stage.DONE, status="completed")
    for language, word in (("en-GB,zh;q=0.5", "completed"), ("zh-CN", "已结束")):
        answer = await door.post(
            f"/api/batches/{BATCH}/resume", headers={"Accept-Language": language}
        )
        assert answer.status == 409
        error = answer.json["error"]
        assert error["code"] == "cannot_resume_completed"
        assert word in error["message"]
        assert error["hint"]
        assert set(error["translations"]) == {"zh", "en"}


async def test_failed_rows_are_listed_with_their_reasons_counted(door: Door) -> None:
    assert door.ledger is not None
    kinds = {1: "rejected", 2: "rejected", 3: None, 4: "bad_input"}
    failed = [task_record(n, Stage.FAILED, error_kind=kind) for n, kind in kinds.items()]
    paused = batch_record(status=BatchStatus.PAUSED)
    path = f"/api/batches/{BATCH}/failed-executions"
    await door.ledger.commit(paused, task_record(5, Stage.DONE), op="batch.accepted")
    assert (await door.get(path)).json == {"failed_executions": [], "total": 0, "reasons": {}}
    await door.ledger.commit(*failed, op="batch.accepted")
    told = (await door.get(path)).json
    assert [task["task_id"] for task in told["failed_executions"]] == [t.task_id for t in failed]
    assert told["failed_executions"][3]["error_kind"] == "bad_input"
    assert told["total"] == 4
    assert told["reasons"] == {"rejected": 2, "unknown": 1, "bad_input": 1}


async def test_failed_rows_are_listed_and_retried_one_and_all(door: Door) -> None:
    first, second, third = await record(door, Stage.FAILED, Stage.FAILED, Stage.FAILED)
    listed = (await door.get(f"/api/batches/{BATCH}/failed-executions")).json
    assert [task["task_id"] for task in listed["failed_executions"]] == [first, second, third]
    one = await door.post(f"/api/batches/{BATCH}/executions/{first}/retry", {"copy_files": True})
    assert one.status == 200
    assert one.json["retried_from"] == first
    assert one.json["retry_number"] == 1
    rest = await door.post(f"/api/batches/{BATCH}/retry-failed")
    assert rest.json["retried"] == 2
    family = (await door.get(f"/api/tasks/{first}")).json["family"]
    assert family == [first, one.json["new_task_id"]]


async def test_of_two_retries_at_the_same_moment_one_is_made(door: Door) -> None:
    (task_id,) = await record(door, Stage.FAILED)
    answers = await asyncio.gather(*(door.post(f"/api/tasks/{task_id}/retry") for _ in range(2)))
    assert sorted(answer.status for answer in answers) == [200, 409]
    (refused,) = (answer for answer in answers if answer.status == 409)
    assert refused.code == "retry_family_open"
    assert len((await door.get("/api/tasks")).json["tasks"]) == 2


async def test_a_task_of_another_batch_is_not_retried_under_this_one(door: Door) -> None:
    (task_id,) = await record(door, Stage.FAILED)
    assert door.ledger is not None
    await door.ledger.commit(batch_record("other-aaaaaa"), op="batch.accepted")
    for batch, code in (("other-aaaaaa", "unknown_task"), ("none-aaaaaa", "unknown_batch")):
        answer = await door.post(f"/api/batches/{batch}/executions/{task_id}/retry")
        assert (answer.status, answer.code) == (404, code)


async def test_a_waiting_task_is_cancelled_once(door: Door) -> None:
    (task_id,) = await record(door, Stage.WAITING)
    answers = [await door.post(f"/api/tasks/{task_id}/cancel") for _ in range(2)]
    assert [answer.json["changed"] for answer in answers] == [True, False]
    assert (await door.get(f"/api/tasks/{task_id}")).json["status"] == "已取消"


async def test_the_journal_names_who_did_it(door: Door) -> None:
    first, second = await record(door, Stage.WAITING, Stage.WAITING)
    await door.post(f"/api/tasks/{first}/cancel")
    await door.post(f"/api/tasks/{second}/cancel", headers={"X-Rowkeeper-Actor": "cli:mei"})
    actors = [
        (await door.get(f"/api/tasks/{each}/history")).json["history"][-1]["actor"]
        for each in (first, second)
    ]
    assert actors == ["api", "cli:mei"]


async def test_a_rerun_makes_a_new_batch(door: Door) -> None:
    await record(door, Stage.DONE, Stage.FAILED, status="completed")
    answer = await door.post(f"/api/batches/{BATCH}/rerun", {"changes": {"prompt": "brighter"}})
    assert answer.status == 200
    assert answer.json["rerun_of"] == BATCH
    tasks = (await door.get(f"/api/tasks?batch={answer.json['batch_id']}")).json["tasks"]
    assert [task["row"]["prompt"] for task in tasks] == ["brighter", "brighter"]


async def test_a_drained_server_gets_no_work_until_it_is_resumed(door: Door) -> None:
    verbs = ("drain", "drain", "resume")
    answers = [await door.post(f"/api/servers/gpu-0/{verb}") for verb in verbs]
    assert [answer.json["changed"] for answer in answers] == [True, False, True]
    (server,) = (await door.get("/api/servers")).json["servers"]
    assert server["drained"] is False
    assert server["reachable"] is True


async def test_a_status_check_changes_nothing_and_a_recovery_says_what_it_did(
    world: World, door: Door
) -> None:
    await record(door, Stage.WAITING)
    before = {path: path.read_bytes() for path in world.ledger.glob("*.json*")}
    check = await door.get("/api/diagnosis/tasks/status-check?max_runtime_minutes=30")
    assert (check.status, check.json["total_stuck"]) == (200, 0)
    assert {path: path.read_bytes() for path in world.ledger.glob("*.json*")} == before
    recovery = await door.post("/api/diagnosis/tasks/recovery?force_reset=false")
    assert recovery.json["reset_task_ids"] == []


async def test_pages_hold_each_task_once_while_rows_are_added_and_others_move(door: Door) -> None:
    assert door.ledger is not None
    await record(door, *[Stage.WAITING] * 7)
    seen: list[str] = []
    cursor, added = "", 100
    while True:
        page = (await door.get(f"/api/tasks?limit=2&status=waiting{cursor}")).json
        seen += [task["task_id"] for task in page["tasks"]]
        if page["next_cursor"] is None:
            break
        last = door.ledger.task(seen[-1])  # the very task that the cursor names leaves the list
        changes = [last.moved(Stage.CANCELLED, at=AT)]
        if added < 103:
            added += 1
            changes.append(task_record(added))
        await door.ledger.commit(*changes, op="test")
        cursor = f"&cursor={page['next_cursor']}"
    expected = [f"img_20261121_{n:06}" for n in (*range(1, 8), 101, 102, 103)]
    assert seen == expected


async def test_pages_of_all_tasks_do_not_move_when_tasks_end(door: Door) -> None:
    assert door.ledger is not None
    await record(door, Stage.WAITING, Stage.DONE, Stage.WAITING)
    first = (await door.get("/api/tasks?limit=2")).json
    await door.ledger.commit(
        door.ledger.task("img_20261121_000001").moved(Stage.CANCELLED, at=AT), op="test"
    )
    second = (await door.get(f"/api/tasks?limit=2&cursor={first['next_cursor']}")).json
    assert [task["task_id"] for task in second["tasks"]] == ["img_20261121_000003"]
    assert second["next_cursor"] is None


async def test_a_page_goes_on_behind_a_task_that_was_archived_meanwhile(door: Door) -> None:
    await record(door, Stage.DONE, Stage.WAITING)
    gone = task_record(99, created_at="2026-11-20T00:00:00.000Z")
    page = (await door.get(f"/api/tasks?cursor={cursor_behind(gone)}")).json
    assert [task["row_number"] for task in page["tasks"]] == [1, 2]


@pytest.mark.parametrize("verb", ["retry", "cancel"])
async def test_an_archived_task_is_shown_and_who_would_change_it_is_told_so(
    door: Door, verb: str
) -> None:
    failed = task_record(1, Stage.FAILED, finished_at=AT, gpu_seconds=2.0)
    again = {"row_id": failed.row_id, "retried_from": failed.task_id, "retry_number": 1}
    retried = task_record(2, Stage.FAILED, finished_at=AT, gpu_seconds=3.0, **again)
    assert door.ledger is not None
    await door.ledger.commit(batch_record(), failed, retried, op="batch.accepted")
    later = from_timestamp(AT) + timedelta(days=60)
    assert await door.ledger.archive_finished(later) == 2
    shown = (await door.get(f"/api/tasks/{failed.task_id}")).json
    assert shown["family"] == [failed.task_id, retried.task_id]
    assert shown["row_gpu_seconds"] == 5.0
    refused = await door.post(f"/api/tasks/{failed.task_id}/{verb}")
    assert (refused.status, refused.code) == (409, "task_archived")


async def test_readiness_is_false_while_no_server_answers(tmp_path: Path) -> None:
    world = World(tmp_path / "alone", "http://127.0.0.1:9")
    async with open_door(world) as door:
        assert (await door.get("/healthz")).status == 200
        ready = await door.get("/readyz")
        assert (ready.status, ready.json["ready"]) == (503, False)
        assert ready.json["servers_reachable"] == 0


async def test_metrics_count_tasks_failures_and_retries(door: Door) -> None:
    (task_id,) = await record(door, Stage.WAITING)
    assert door.ledger is not None
    failed = door.ledger.task(task_id).moved(Stage.FAILED, at=AT, error_kind="out_of_memory")
    await door.ledger.commit(failed, op="task.fail")
    await door.post(f"/api/tasks/{task_id}/retry")
    text = (await door.get("/metrics")).body.decode()
    assert 'rowkeeper_tasks{stage="failed"} 1.0' in text
    assert 'rowkeeper_rows{stage="waiting",workflow_type="图片合成"} 1.0' in text
    assert 'rowkeeper_task_failures_total{kind="out_of_memory"} 1.0' in text
    assert 'rowkeeper_task_retries_total{by="operator",kind="out_of_memory"} 1.0' in text
    assert 'rowkeeper_server_up{server="gpu-0"} 1.0' in text
    assert "rowkeeper_ledger_writable 1.0" in text


async def test_metrics_tell_how_long_tasks_ran_on_the_mean(door: Door) -> None:
    for task_id, seconds in zip(
        await record(door, Stage.COLLECTING, Stage.COLLECTING), (2.0, 4.0), strict=True
    ):
        assert door.ledger is not None
        task = door.ledger.task(task_id)
        done = task.moved(Stage.DONE, at=AT, gpu_seconds=seconds, server="gpu-0")
        await door.ledger.commit(done, op="task.done")
    text = (await door.get("/metrics")).body.decode()
    of_it = '{server="gpu-0",workflow_type="图片合成"}'
    assert f"rowkeeper_task_run_seconds_count{of_it} 2.0" in text
    assert f"rowkeeper_task_run_seconds_sum{of_it} 6.0" in text


async def test_metrics_and_documents_tell_what_each_step_took(door: Door) -> None:
    assert door.ledger is not None
    (task_id,) = await record(door, Stage.WAITING)

    async def change(op: str, **fields: object) -> None:
        assert door.ledger is not None
        task = door.ledger.task(task_id)
        stage, at = fields.pop("stage"), fields.pop("at")
        await door.ledger.commit(
            task.moved(Stage(str(stage)), at=str(at), **fields), op=op, evidence={"server": "gpu-0"}
        )

    accepted_at = door.ledger.task(task_id).created_at
    later = [
        to_timestamp(from_timestamp(accepted_at) + timedelta(seconds=seconds))
        for seconds in (10, 70, 72)
    ]
    await change("task.submitting", stage="submitting", at=later[0], attempt=1, server="gpu-0")
    await change("task.collect", stage="collecting", at=later[1], gpu_seconds=60.0)
    await change("task.done", stage="done", at=later[2])
    text = (await door.get("/metrics")).body.decode()
    for line in (
        'waiting_seconds_sum{workflow_type="图片合成"} 10.0',
        'run_seconds_bucket{le="60.0",server="gpu-0",workflow_type="图片合成"} 1.0',
        'collecting_seconds_sum{server="gpu-0"} 2.0',
    ):
        assert f"rowkeeper_task_{line}" in text
    assert 'gpu_seconds_total{server="gpu-0",workflow_type="图片合成"} 60.0' in text
    commits = re.search(r"rowkeeper_ledger_commit_seconds_count (\S+)", text)
    assert commits is not None
    assert float(commits[1]) >= 3
    assert "rowkeeper_ledger_journal_size_bytes 0.0" not in text

    task = (await door.get(f"/api/tasks/{task_id}")).json
    batch = (await door.get(f"/api/batches/{task['batch_id']}")).json
    assert task["row_gpu_seconds"] == 60.0
    assert batch["gpu_seconds"] == {task["product_name"]: 60.0}


async def test_metrics_count_what_was_lost_as_recovered_and_not_what_was_cancelled(
    door: Door,
) -> None:
    assert door.ledger is not None
    first, second = await record(door, Stage.WAITING, Stage.WAITING)
    cancelled = door.ledger.task(first).moved(Stage.CANCELLED, at=AT)
    reset = door.ledger.task(second).changed(at=AT)
    for after, wanted in ((cancelled, "cancel"), (reset, "reset")):
        await door.ledger.commit(after, op="task.as_requested", evidence={"requested": wanted})
    text = (await door.get("/metrics")).body.decode()
    assert 'rowkeeper_task_recoveries_total{what="as_requested"} 1.0' in text


async def test_an_address_that_was_removed_or_written_over_is_written_anew(world: World) -> None:
    address = world.state / "web.json"
    async with open_door(world):
        content = address.read_bytes()
        address.unlink()
        await until(lambda: address.exists() and address.read_bytes() == content)
        address.write_text("{}")
        await until(lambda: address.read_bytes() == content)
    assert not address.exists()


async def test_the_address_is_written_for_the_owner_alone_and_goes_with_the_daemon(
    world: World,
) -> None:
    async with open_door(world):
        for name in ("web.json", "admin-token"):
            assert (world.state / name).stat().st_mode & 0o777 == 0o600
    assert not (world.state / "web.json").exists()
    token = (world.state / "admin-token").read_bytes()
    async with open_door(world) as door:
        assert (world.state / "admin-token").read_bytes() == token
        assert (await door.post("/api/session")).status == 200


async def test_a_port_that_is_taken_ends_the_start_with_the_key_and_the_fix(
    world: World, door: Door
) -> None:
    taken = door.url.rpartition(":")[2]
    other = World(world.folder.parent / "other", "http://127.0.0.1:9")
    text = other.config.read_text("utf-8").replace("port = 0", f"port = {taken}")
    other.config.write_text(text, encoding="utf-8")
    code, said = await other.run("run", "--once")
    assert code == 2
    assert f"web.port = {taken}: another program listens there" in said
    assert "recovery.ended" not in said  # nothing was begun
