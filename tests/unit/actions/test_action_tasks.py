"""Retry and cancel."""

import asyncio

import pytest

from daemon.actions import tasks
from daemon.actions.errors import ActionError
from daemon.actions.performing import perform
from daemon.actions.plan import Plan
from daemon.cli.stages import remark
from daemon.words import Words
from ledger.batch import BatchStatus
from ledger.errors import Conflict, UnknownRecord
from ledger.statistics import statistics
from ledger.status import Stage
from ledger.steps import at_once
from ledger.task import InputFile, Source
from tests.unit.actions.house import (
    BATCH,
    LATER,
    House,
    anywhere,
    nowhere,
    picture_made,
    row,
    rows,
    video_of,
)

CUP = InputFile(name="cup.png", sha256="a" * 64, size_bytes=3)
HERE = {"input_path": anywhere, "output_path": anywhere}
GONE = {"input_path": nowhere, "output_path": nowhere}


@pytest.fixture
def house() -> House:
    return House()


def retry(house: House, task_id: str, *, copy_files: bool = True, paths=HERE) -> Plan:
    return tasks.retry(house.ledger, task_id, copy_files=copy_files, at=LATER, **paths)


@pytest.mark.parametrize("stage", [Stage.FAILED, Stage.CANCELLED])
async def test_a_retry_is_a_new_task_and_the_old_one_stays_as_it_was(
    house: House, stage: Stage
) -> None:
    old = row(
        1,
        stage,
        inputs={"image": CUP},
        row={"prompt": "tea"},
        priority=7,
        parameters={"seed": 5},
        attempt=2,
        error_message="it broke",
        finished_at=LATER,
        processed_at=LATER,
    )
    await house.open(old)
    answer = await house.do(retry(house, old.task_id))
    new = house.ledger.task(str(answer["new_task_id"]))
    assert {key: answer[key] for key in ("status", "files_copied", "retry_number")} == {
        "status": "待处理",
        "files_copied": 1,
        "retry_number": 1,
    }
    assert (answer["retried_from"], answer["waiting"]) == (old.task_id, 0)
    assert (new.stage, new.retried_from, new.root_task_id) == (
        Stage.WAITING,
        old.task_id,
        old.task_id,
    )
    assert (new.inputs, new.row, new.priority) == (old.inputs, old.row, 7)
    assert (new.attempt, new.parameters, new.error_message, new.version) == (0, {}, None, 1)
    kept = house.ledger.task(old.task_id)
    assert kept == old.changed(at=LATER, retry_count=1)


async def test_the_third_retry_of_a_family_is_number_three_and_each_knows_its_parent(
    house: House,
) -> None:
    await house.open(row(1, Stage.FAILED))
    parent = row(1).task_id
    for number in (1, 2, 3):
        answer = await house.do(retry(house, parent))
        assert (answer["retry_number"], answer["retried_from"]) == (number, parent)
        parent = str(answer["new_task_id"])
        await house.move(parent, Stage.DONE if number == 3 else Stage.FAILED)
    family = house.ledger.family(*row(1).family)
    assert [task.retry_count for task in family] == [1, 1, 1, 0]
    assert {task.root_task_id for task in family} == {row(1).task_id}
    assert "retry_family_done" in await house.refused(lambda: retry(house, row(1).task_id))


async def test_an_earlier_member_may_be_retried_while_the_newest_failed(house: House) -> None:
    await house.open(row(1, Stage.FAILED))
    answer = await house.do(retry(house, row(1).task_id))
    await house.move(str(answer["new_task_id"]), Stage.CANCELLED)
    again = await house.do(retry(house, row(1).task_id))
    assert (again["retry_number"], again["retried_from"]) == (2, row(1).task_id)
    assert house.ledger.task(row(1).task_id).retry_count == 2


async def test_an_open_task_an_open_family_and_a_done_task_are_refused(house: House) -> None:
    await house.open(row(1, Stage.FAILED), row(2), row(3, Stage.DONE))
    await house.do(retry(house, row(1).task_id))
    assert "409 retry_family_open" in await house.refused(lambda: retry(house, row(1).task_id))
    assert "409 retry_open" in await house.refused(lambda: retry(house, row(2).task_id))
    assert "409 retry_done" in await house.refused(lambda: retry(house, row(3).task_id))
    with pytest.raises(UnknownRecord):
        retry(house, "img_20261121_999999")


async def test_of_two_retries_at_the_same_moment_one_is_refused(house: House) -> None:
    await house.open(row(1, Stage.FAILED))

    async def one() -> object:
        return await perform(house.ledger, lambda: retry(house, row(1).task_id), actor="api")

    answers = await asyncio.gather(one(), one(), return_exceptions=True)
    refused = [answer for answer in answers if isinstance(answer, ActionError)]
    assert [(error.code, error.status) for error in refused] == [("retry_family_open", 409)]
    assert len(house.ledger.family(*row(1).family)) == 2


async def test_an_action_that_a_step_overtook_is_planned_anew(house: House) -> None:
    await house.open(row(1))
    stale = tasks.cancel(house.ledger, row(1).task_id, at=LATER)
    await house.move(row(1).task_id, Stage.QUEUED)
    with pytest.raises(Conflict):
        await house.do(stale)
    plans = iter([stale])

    def plan() -> Plan:
        return next(plans, None) or tasks.cancel(house.ledger, row(1).task_id, at=LATER)

    async with asyncio.timeout(5):
        answer = await perform(house.ledger, plan, actor="api")
    assert (answer["changed"], answer["requested"]) == (True, "cancel")


async def test_files_that_are_gone_are_named_before_anything_is_written(house: House) -> None:
    mug = InputFile(name="mug.png", sha256="b" * 64, size_bytes=3)
    await house.open(row(1, Stage.FAILED, inputs={"image": CUP, "more": mug}))
    told = await house.refused(lambda: retry(house, row(1).task_id, paths=GONE))
    assert told == "409 files_gone {'files': 'cup.png, mug.png'}"
    assert "retry_count=0" in repr(house.ledger.task(row(1).task_id))


async def test_a_video_needs_the_picture_that_stage_one_made(house: House) -> None:
    picture = row(1, Stage.DONE, outputs=[picture_made()])
    video = video_of(picture, 2, Stage.FAILED, inputs={"image": CUP})
    await house.open(picture, video)
    told = await house.refused(lambda: retry(house, video.task_id, paths=GONE))
    assert told == "409 files_gone {'files': 'outputs/0001.png'}"
    answer = await house.do(retry(house, video.task_id))
    assert answer["files_copied"] == 1
    assert house.ledger.task(str(answer["new_task_id"])).depends_on == video.depends_on


async def test_without_copies_the_same_files_are_used(house: House) -> None:
    await house.open(row(1, Stage.FAILED, inputs={"image": CUP}))
    answer = await house.do(retry(house, row(1).task_id, copy_files=False))
    assert answer["files_copied"] == 0
    assert house.ledger.task(str(answer["new_task_id"])).inputs == {"image": CUP}


async def test_a_completed_batch_runs_again_for_its_retried_row(house: House) -> None:
    await house.open(row(1, Stage.FAILED), status=BatchStatus.COMPLETED, failures_in_a_row=1)
    await house.do(retry(house, row(1).task_id))
    assert (house.batch().status, house.batch().failures_in_a_row) == ("running", 0)


@pytest.mark.parametrize("status", ["failed", "stopped", "paused"])
async def test_in_a_batch_that_does_not_run_the_answer_says_how_many_wait(
    house: House, status: str
) -> None:
    await house.open(*rows(10, {Stage.FAILED: 2}), status=BatchStatus(status), failures_in_a_row=9)
    answer = await house.do(retry(house, row(1).task_id))
    assert answer["waiting"] == 8
    assert "8 rows go on waiting" in str(answer["message"])
    assert (house.batch().status, house.batch().failures_in_a_row) == (status, 0)


async def test_a_retried_picture_unblocks_its_video(house: House) -> None:
    picture = row(1, Stage.FAILED)
    video = video_of(picture, 2, blocked_by="dependency: 图片合成")
    await house.open(
        picture, video, row(3, Stage.FAILED), video_of(row(3), 4, blocked_by="dependency")
    )
    assert statistics(house.ledger, BATCH).blocked == 2
    await house.do(retry(house, picture.task_id))
    assert house.ledger.task(video.task_id).blocked_by is None
    assert statistics(house.ledger, BATCH).blocked == 1


async def test_all_failed_rows_are_retried_and_only_those(house: House) -> None:
    done_again = row(9, row_id=row(3).row_id, stage=Stage.DONE, retried_from=row(3).task_id)
    await house.open(
        row(1, Stage.FAILED),
        row(2, Stage.CANCELLED),
        row(3, Stage.FAILED),
        row(4, Stage.FAILED),
        row(5),
        done_again,
    )
    answer = await house.do(tasks.retry_failed(house.ledger, BATCH, at=LATER, **HERE))
    assert (answer["retried"], answer["message"]) == (2, "2 row(s) submitted again.")
    new = [house.ledger.task(task_id) for task_id in answer["new_task_ids"]]
    assert [task.retried_from for task in new] == [row(1).task_id, row(4).task_id]
    assert statistics(house.ledger, BATCH).failed == 0
    again = await house.do(tasks.retry_failed(house.ledger, BATCH, at=LATER, **HERE))
    assert (again["changed"], again["retried"]) == (False, 0)
    assert again["message"] == "No row has failed; nothing changed."


async def test_failed_rows_whose_files_are_gone_are_left_out_by_name(house: House) -> None:
    await house.open(row(1, Stage.FAILED, inputs={"image": CUP}), row(2, Stage.FAILED))
    answer = await house.do(tasks.retry_failed(house.ledger, BATCH, at=LATER, **GONE))
    assert (answer["retried"], answer["files_gone"]) == (
        1,
        [{"task_id": row(1).task_id, "files": ["cup.png"]}],
    )
    assert answer["message"] == (
        "1 row(s) submitted again; 1 left out because their files are gone."
    )
    assert "files_gone" in await house.refused(
        lambda: at_once(tasks.retry_failed(house.ledger, BATCH, at=LATER, **GONE))
    )


async def test_a_retry_keeps_where_the_row_came_from(house: House) -> None:
    source = Source(kind="table", name="spring", line=4, fingerprint="f")
    old = row(1, Stage.FAILED)
    old = type(old)(
        **{name: getattr(old, name) for name in old.__struct_fields__ if name != "metadata"},
        metadata=type(old.metadata)(source=source, feishu_row_data={"a": 1}),
    )
    await house.open(old)
    answer = await house.do(retry(house, old.task_id))
    metadata = house.ledger.task(str(answer["new_task_id"])).metadata
    assert (metadata.source, metadata.feishu_row_data) == (source, {"a": 1})


async def test_a_waiting_task_is_cancelled_at_once(house: House) -> None:
    await house.open(row(1))
    answer = await house.do(tasks.cancel(house.ledger, row(1).task_id, at=LATER))
    assert (answer["changed"], answer["status"]) == (True, "已取消")
    task = house.ledger.task(row(1).task_id)
    assert (task.processed_at, task.requested, task.requested_by) == (LATER, None, "cli:anna")
    assert remark(task, Words("en")) == "cancelled by anna (command line)"


async def test_who_retries_a_cancelled_task_is_not_taken_for_who_cancelled_it(house: House) -> None:
    await house.open(row(1, Stage.CANCELLED))
    await house.do(tasks.retry(house.ledger, row(1).task_id, copy_files=True, at=LATER, **HERE))
    old, new = house.ledger.tasks()
    assert (old.retry_count, old.requested_by, new.requested_by) == (1, None, None)


@pytest.mark.parametrize("stage", [Stage.SUBMITTING, Stage.QUEUED, Stage.RUNNING])
async def test_a_task_inside_a_server_is_asked_for_and_asked_for_once(
    house: House, stage: Stage
) -> None:
    await house.open(row(1, stage, requested="take_back", requested_by="api"))
    answer = await house.do(tasks.cancel(house.ledger, row(1).task_id, at=LATER))
    assert (answer["changed"], answer["requested"]) == (True, "cancel")
    task = house.ledger.task(row(1).task_id)
    assert (task.stage, task.requested, task.requested_by) == (stage, "cancel", "cli:anna")
    again = await house.do(tasks.cancel(house.ledger, row(1).task_id, at=LATER))
    assert (again["changed"], house.ledger.task(row(1).task_id)) == (False, task)


@pytest.mark.parametrize("stage", [Stage.COLLECTING, Stage.DONE, Stage.FAILED, Stage.CANCELLED])
async def test_what_has_ended_stays_and_the_answer_says_so(house: House, stage: Stage) -> None:
    await house.open(row(1, stage))
    before = house.ledger.task(row(1).task_id)
    answer = await house.do(tasks.cancel(house.ledger, row(1).task_id, at=LATER))
    assert (answer["success"], answer["changed"]) == (True, False)
    assert "nothing changed" in str(answer["message"])
    assert house.ledger.task(row(1).task_id) == before
