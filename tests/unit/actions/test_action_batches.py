"""Pause, resume and stop."""

import pytest

from daemon.actions import batches
from ledger.batch import BatchStatus
from ledger.errors import UnknownRecord
from ledger.statistics import statistics
from ledger.status import Stage
from tests.unit.actions.house import BATCH, LATER, House, row, rows, video_of

BROKEN_OFF = {Stage.DONE: 12, Stage.FAILED: 5}


@pytest.fixture
def house() -> House:
    return House()


@pytest.mark.parametrize("status", ["failed", "stopped", "paused"])
async def test_a_batch_that_broke_off_goes_on_and_no_row_is_touched(
    house: House, status: str
) -> None:
    await house.open(
        *rows(30, BROKEN_OFF), status=BatchStatus(status), failures_in_a_row=10, halted_at=LATER
    )
    before = list(house.ledger.tasks(BATCH))
    answer = await house.do(batches.resume(house.ledger, BATCH, at=LATER))
    assert (answer["success"], answer["changed"], answer["stage"]) == (True, True, 1)
    assert "the remaining 13 rows run" in str(answer["message"])
    batch = house.batch()
    assert (batch.status, batch.failures_in_a_row, batch.halted_at) == ("running", 0, None)
    assert list(house.ledger.tasks(BATCH)) == before


@pytest.mark.parametrize("status", ["failed", "stopped", "paused"])
async def test_resuming_with_nothing_pending_says_so_and_changes_nothing(
    house: House, status: str
) -> None:
    await house.open(*rows(17, BROKEN_OFF), status=BatchStatus(status))
    written = len(house.backend.transactions)
    answer = await house.do(batches.resume(house.ledger, BATCH, at=LATER))
    assert answer["changed"] is False
    assert "No row is pending" in str(answer["message"])
    assert house.batch().status == status
    assert len(house.backend.transactions) == written


async def test_rows_that_wait_for_a_failed_picture_are_not_pending(house: House) -> None:
    picture = row(1, Stage.FAILED)
    video = video_of(picture, 2, blocked_by="dependency: 图片合成")
    await house.open(picture, video, status=BatchStatus.STOPPED)
    assert (await house.do(batches.resume(house.ledger, BATCH, at=LATER)))["changed"] is False


@pytest.mark.parametrize(
    ("verb", "status", "code"),
    [
        ("resume", "running", "cannot_resume_running"),
        ("resume", "completed", "cannot_resume_completed"),
        ("pause", "stopped", "cannot_pause_stopped"),
        ("pause", "failed", "cannot_pause_failed"),
        ("pause", "completed", "cannot_pause_completed"),
        ("stop", "completed", "cannot_stop_completed"),
    ],
)
async def test_each_wrong_state_is_refused_with_advice_of_its_own(
    house: House, verb: str, status: str, code: str
) -> None:
    await house.open(*rows(3, {}), status=BatchStatus(status))
    more = {"interrupt": False} if verb == "stop" else {}
    told = await house.refused(
        lambda: getattr(batches, verb)(house.ledger, BATCH, at=LATER, **more)
    )
    assert told == f"409 {code} {{'batch': '{BATCH}'}}"


async def test_pause_leaves_running_rows_alone(house: House) -> None:
    await house.open(row(1, Stage.RUNNING), row(2, Stage.QUEUED), row(3), held="missing_node")
    answer = await house.do(batches.pause(house.ledger, BATCH, at=LATER))
    assert (answer["changed"], answer["status"]) == (True, "paused")
    assert (house.batch().status, house.batch().held) == ("paused", None)
    assert [task.requested for task in house.ledger.tasks(BATCH)] == [None, None, None]
    again = await house.do(batches.pause(house.ledger, BATCH, at=LATER))
    assert (again["changed"], again["success"]) == (False, True)


async def test_stop_takes_back_what_waits_in_a_queue_and_interrupts_nothing(house: House) -> None:
    cancelled = row(5, Stage.QUEUED, requested="cancel", requested_by="api")
    stages = (Stage.SUBMITTING, Stage.QUEUED, Stage.RUNNING, Stage.COLLECTING)
    await house.open(*(row(n, stage) for n, stage in enumerate(stages, start=1)), cancelled, row(6))
    answer = await house.do(batches.stop(house.ledger, BATCH, interrupt=False, at=LATER))
    assert (answer["taken_back"], answer["status"]) == (2, "stopped")
    wanted = [(task.requested, task.requested_by) for task in house.ledger.tasks(BATCH)]
    asked = ("take_back", "cli:anna")
    assert wanted == [asked, asked, (None, None), (None, None), ("cancel", "api"), (None, None)]
    assert house.batch().halted_at == LATER


async def test_a_stopped_batch_may_be_stopped_again_to_interrupt_what_still_runs(
    house: House,
) -> None:
    await house.open(row(1, Stage.RUNNING), row(2, Stage.QUEUED), row(3))
    await house.do(batches.stop(house.ledger, BATCH, interrupt=False, at=LATER))
    again = await house.do(batches.stop(house.ledger, BATCH, interrupt=False, at=LATER))
    assert again["changed"] is False
    firm = await house.do(batches.stop(house.ledger, BATCH, interrupt=True, at=LATER))
    assert (firm["changed"], firm["taken_back"]) == (True, 2)
    assert [task.requested for task in house.ledger.tasks(BATCH)] == ["reset", "reset", None]
    last = await house.do(batches.stop(house.ledger, BATCH, interrupt=True, at=LATER))
    assert last["changed"] is False


async def test_other_batches_are_left_alone(house: House) -> None:
    other = row(2, Stage.QUEUED, batch_id="winter-abc234", row_id="winter-abc234:1")
    await house.open(row(1, Stage.QUEUED), other)
    await house.do(batches.stop(house.ledger, BATCH, interrupt=True, at=LATER))
    assert house.ledger.task(other.task_id) == other


@pytest.mark.parametrize("verb", ["pause", "resume"])
async def test_an_unknown_batch_is_unknown(house: House, verb: str) -> None:
    await house.open(row(1))
    with pytest.raises(UnknownRecord):
        getattr(batches, verb)(house.ledger, "no-such", at=LATER)


async def test_statistics_count_families_once_and_by_stage(house: House) -> None:
    pictures = [row(1, Stage.DONE), row(2, Stage.FAILED), row(3, Stage.RUNNING), row(4)]
    videos = [
        video_of(pictures[0], 11, Stage.CANCELLED),
        video_of(pictures[1], 12, blocked_by="dependency: 图片合成"),
        video_of(pictures[2], 13),
        video_of(pictures[3], 14),
    ]
    retried = row(21, row_id=pictures[1].row_id, retried_from=pictures[1].task_id)
    await house.open(*pictures, *videos, retried)
    stands = statistics(house.ledger, BATCH)
    assert (stands.rows, stands.total, stands.stage) == (4, 8, 1)
    assert (stands.completed, stands.failed, stands.pending) == (1, 0, 4)
    assert (stands.processing, stands.cancelled, stands.blocked) == (1, 1, 1)
    first, second = stands.stages["1"], stands.stages["2"]
    assert (first.total, first.completed, first.pending, first.processing) == (4, 1, 2, 1)
    assert (second.total, second.pending, second.cancelled, second.blocked) == (4, 2, 1, 1)
    for count in (stands, first, second):
        parts = ("completed", "failed", "pending", "processing", "cancelled", "blocked")
        assert count.total == sum(getattr(count, part) for part in parts)


async def test_stage_two_begins_when_no_picture_can_still_come(house: House) -> None:
    pictures = [row(1, Stage.DONE), row(2, Stage.RUNNING)]
    await house.open(*pictures, *(video_of(p, 10 + n) for n, p in enumerate(pictures)))
    assert statistics(house.ledger, BATCH).stage == 1
    for stage in (Stage.COLLECTING, Stage.DONE):
        moved = house.ledger.task(pictures[1].task_id).moved(stage, at=LATER)
        await house.ledger.commit(moved, op="test.moved")
    assert statistics(house.ledger, BATCH).stage == 2
