"""What becomes of a batch as its rows end."""

import asyncio
from asyncio import Event
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import structlog

from daemon.actions import batches, tasks
from daemon.settle.streaks import Streaks
from daemon.upkeep.batches import GATHER_SECONDS, BatchKeeper
from ledger.batch import BatchStatus
from ledger.ledger import Ledger
from ledger.status import Stage
from tests.fakes.clock import FakeClock
from tests.fakes.records import batch_record
from tests.unit.actions.house import BATCH, LATER, House, anywhere, row, video_of

LIMIT = 3


@pytest.fixture
def house() -> House:
    return House()


@asynccontextmanager
async def kept(house: House) -> AsyncIterator[BatchKeeper]:
    """Run the keeper; its reviews are over when the block is."""
    keeper = BatchKeeper(house.ledger, house.clock, Streaks(house.ledger, LIMIT))
    stop = asyncio.Event()
    running = asyncio.create_task(keeper.run(stop))
    try:
        await settled(house)
        yield keeper
        await settled(house)
    finally:
        stop.set()
        await running


async def settled(house: House) -> None:
    """Let everything happen that can, and all that gathered be reviewed."""
    await rounds()
    house.clock.advance(GATHER_SECONDS)
    await rounds()


async def rounds() -> None:
    """Let happen what takes no time: a store in memory is done in a few rounds of the loop."""
    for _ in range(50):
        await asyncio.sleep(0)


async def fail(house: House, number: int, kind: str = "execution_error") -> None:
    await house.move(row(number).task_id, Stage.FAILED, error_kind=kind)
    await settled(house)


async def succeed(house: House, number: int) -> None:
    await house.move(row(number).task_id, Stage.DONE)
    await settled(house)


async def test_too_many_failures_in_a_row_fail_the_batch_and_leave_its_waiting_rows(
    house: House,
) -> None:
    await house.open(*(row(n) for n in range(1, 9)))
    with structlog.testing.capture_logs() as logs:
        async with kept(house):
            for number in (1, 2):
                await fail(house, number)
            await succeed(house, 3)
            for number in (4, 5):
                await fail(house, number)
            assert house.batch().status is BatchStatus.RUNNING
            assert house.batch().failures_in_a_row == 2
            await fail(house, 6)
            assert house.batch().status is BatchStatus.FAILED
    assert [task.stage for task in house.ledger.tasks(BATCH)][6:] == [Stage.WAITING] * 2
    (told,) = [log for log in logs if log["event"] == "batch.failed"]
    assert {key: told[key] for key in ("stage", "done", "failed", "pending", "going_on")} == {
        "stage": 1,
        "done": 1,
        "failed": 5,
        "pending": 2,
        "going_on": 0,
    }


async def test_changes_that_come_in_a_crowd_are_reviewed_together_soon(house: House) -> None:
    await house.open(*(row(n) for n in range(1, 6)))
    async with kept(house):
        await house.move(row(1).task_id, Stage.FAILED, error_kind="execution_error")
        await rounds()
        assert house.batch().failures_in_a_row == 1  # the first one at once
        before = house.batch().version
        for number in (2, 3):
            await house.move(row(number).task_id, Stage.FAILED, error_kind="execution_error")
            await rounds()
        assert house.batch().version == before
        house.clock.advance(GATHER_SECONDS)
        await rounds()
        assert (house.batch().status, house.batch().version) == ("failed", before + 1)


@pytest.mark.parametrize("kind", ["interrupted", "bad_input", "poison", "timeout"])
async def test_failures_that_tell_nothing_of_the_batch_do_not_count(
    house: House, kind: str
) -> None:
    await house.open(*(row(n) for n in range(1, 6)))
    async with kept(house):
        for number in (1, 2, 3, 4):
            await fail(house, number, kind)
    assert (house.batch().status, house.batch().failures_in_a_row) == ("running", 0)


async def test_the_count_survives_a_restart(house: House) -> None:
    await house.open(*(row(n) for n in range(1, 6)))
    async with kept(house):
        for number in (1, 2):
            await fail(house, number)
    await house.ledger.close()
    house.ledger = Ledger(house.backend)
    await house.ledger.open()
    async with kept(house):
        await fail(house, 3)
    assert house.batch().status is BatchStatus.FAILED


async def test_a_resume_counts_anew_and_tells_what_goes_on(house: House) -> None:
    await house.open(*(row(n) for n in range(1, 9)))
    async with kept(house):
        for number in (1, 2, 3):
            await fail(house, number)
        with structlog.testing.capture_logs() as logs:
            await house.do(batches.resume(house.ledger, BATCH, at=LATER))
        for number in (4, 5):
            await fail(house, number)
        assert (house.batch().status, house.batch().failures_in_a_row) == ("running", 2)
    (told,) = [log for log in logs if log["event"] == "batch.resumed"]
    assert (told["failed"], told["pending"], told["going_on"]) == (3, 5, 5)


async def test_a_retry_counts_anew_and_its_old_task_is_not_counted_twice(house: House) -> None:
    await house.open(*(row(n) for n in range(1, 9)))
    async with kept(house):
        for number in (1, 2):
            await fail(house, number)
        plan = tasks.retry_failed(
            house.ledger,
            BATCH,
            at="2026-11-21T12:00:00.000Z",
            input_path=anywhere,
            output_path=anywhere,
        )
        await house.do(plan)
        await settled(house)
        assert house.batch().failures_in_a_row == 0
        for number in (3, 4):
            await fail(house, number)
    assert (house.batch().status, house.batch().failures_in_a_row) == ("running", 2)


async def test_a_later_change_to_a_finished_task_is_no_result(house: House) -> None:
    await house.open(*(row(n) for n in range(1, 9)))
    async with kept(house):
        await succeed(house, 1)
        for number in (2, 3):
            await fail(house, number)
        done = house.ledger.task(row(1).task_id)
        await house.ledger.commit(
            done.changed(at="2026-11-21T12:00:00.000Z", retry_count=0), op="task.published"
        )
    assert house.batch().failures_in_a_row == 2


async def test_the_stage_is_written_when_all_pictures_have_ended(house: House) -> None:
    pictures = [row(1), row(2)]
    await house.open(*pictures, *(video_of(p, 10 + n) for n, p in enumerate(pictures)))
    with structlog.testing.capture_logs() as logs:
        async with kept(house):
            await succeed(house, 1)
            assert house.batch().stage == 1
            await succeed(house, 2)
            assert house.batch().stage == 2
    (told,) = [log for log in logs if log["event"] == "batch.stage_reached"]
    assert (told["stage"], told["pending"]) == (2, 2)


async def test_a_batch_with_nothing_left_is_completed(house: House) -> None:
    await house.open(row(1), row(2), held="server_unreachable")
    async with kept(house):
        await succeed(house, 1)
        await fail(house, 2)
    assert (house.batch().status, house.batch().held) == (BatchStatus.COMPLETED, None)


async def test_rows_blocked_by_a_failed_picture_keep_no_batch_open(house: House) -> None:
    picture = row(1)
    await house.open(picture, video_of(picture, 2))
    async with kept(house):
        await fail(house, 1)
        assert house.batch().status is BatchStatus.RUNNING
        video = house.ledger.task(video_of(picture, 2).task_id)
        blocked = video.changed(at=LATER, blocked_by="dependency: 图片合成")
        await house.ledger.commit(blocked, op="rows.reviewed")
    assert house.batch().status is BatchStatus.COMPLETED


async def test_a_row_that_may_run_again_while_blocked_ones_are_looked_at_keeps_the_batch_open(
    house: House,
) -> None:
    pictures = [row(number, Stage.FAILED) for number in range(1, 5001)]
    videos = [video_of(each, 9000 + n, blocked_by="x") for n, each in enumerate(pictures)]
    await house.open(*pictures, *videos)
    plan = tasks.retry(
        house.ledger,
        pictures[0].task_id,
        copy_files=True,
        at=LATER,
        input_path=anywhere,
        output_path=anywhere,
    )
    keeper, stop = BatchKeeper(house.ledger, FakeClock(), Streaks(house.ledger, LIMIT)), Event()
    running = asyncio.create_task(keeper.run(stop))
    await asyncio.sleep(0)  # it looks at the first rows, and gives way
    await house.do(plan)
    stop.set()
    await running
    assert house.batch().status is BatchStatus.RUNNING


async def test_a_mark_older_than_the_retried_picture_does_not_complete_the_batch(
    house: House,
) -> None:
    picture = row(1, Stage.DONE)
    await house.open(picture, video_of(picture, 2, blocked_by="dependency: 图片合成"))
    async with kept(house):
        pass
    assert house.batch().status is BatchStatus.RUNNING


async def test_a_paused_batch_whose_last_row_ended_is_completed(house: House) -> None:
    await house.open(row(1, Stage.COLLECTING), status=BatchStatus.PAUSED)
    async with kept(house):
        done = house.ledger.task(row(1).task_id).moved(Stage.DONE, at=LATER)
        await house.ledger.commit(done, op="task.done")
    assert house.batch().status is BatchStatus.COMPLETED


@pytest.mark.parametrize("status", ["paused", "stopped", "failed"])
async def test_a_halted_batch_stays_as_it_is_while_rows_wait_also_after_a_restart(
    house: House, status: str
) -> None:
    await house.open(row(1, Stage.FAILED), row(2), status=BatchStatus(status))
    before = house.batch()
    async with kept(house):
        pass
    assert house.batch() == before


async def test_a_batch_that_failed_at_its_end_stays_failed_until_its_rows_are_retried(
    house: House,
) -> None:
    await house.open(*(row(n) for n in (1, 2, 3)))
    async with kept(house):
        for number in (1, 2, 3):
            await fail(house, number)
        assert house.batch().status is BatchStatus.FAILED
        plan = tasks.retry_failed(
            house.ledger,
            BATCH,
            at="2026-11-21T12:00:00.000Z",
            input_path=anywhere,
            output_path=anywhere,
        )
        answer = await house.do(plan)
        for task_id in answer["new_task_ids"]:
            await house.move(task_id, Stage.DONE)
    assert house.batch().status is BatchStatus.COMPLETED


async def test_a_review_that_was_overtaken_is_done_again(house: House) -> None:
    await house.open(*(row(n) for n in range(1, 6)))
    async with kept(house):
        for number in (1, 2):
            await fail(house, number)
        held = house.batch().changed(at=LATER, held="missing_node")
        failed = house.ledger.task(row(3).task_id).moved(
            Stage.FAILED, at=LATER, error_kind="rejected"
        )
        both = (
            house.ledger.commit(failed, op="task.refused"),
            house.ledger.commit(held, op="rows.reviewed"),
        )
        await asyncio.gather(*both)
        await settled(house)
    assert (house.batch().status, house.batch().held) == (BatchStatus.FAILED, None)


async def test_what_the_archive_took_away_changes_no_batch(house: House) -> None:
    await house.open(status=BatchStatus.FAILED, stage=2)
    old = batch_record("old-abc234", status=BatchStatus.COMPLETED, stage=2)
    await house.ledger.commit(old, op="rows.accepted")
    async with kept(house):
        pass
    assert (house.batch().status, house.ledger.batch("old-abc234")) == ("failed", old)


async def test_a_batch_whose_last_rows_went_to_the_archive_at_once_is_completed(
    house: House,
) -> None:
    await house.open(stage=2)
    async with kept(house):
        await settled(house)
    assert (house.batch().status, house.batch().stage) == (BatchStatus.COMPLETED, 2)
