"""Rows that somebody needs again in the very moment in which they go to the archive."""

import asyncio
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeAlias

import msgspec
import pytest

from ledger.errors import Conflict, LedgerLocked
from ledger.jsondir.check import verify
from ledger.jsondir.files import Disk
from ledger.ledger import Ledger
from ledger.status import Stage
from ledger.task import Dependency, Publish, Task
from tests.fakes.records import AT, batch_record, task_record
from tests.fakes.waiting import until
from tests.unit.ledger.conftest import in_folder

Doing: TypeAlias = Callable[[], Coroutine[None, None, None]]
MUCH_LATER = datetime(2027, 1, 15, tzinfo=UTC)


class Meanwhile(Disk):
    """Does something on the loop, once, while a step of ours is under way."""

    def __init__(self) -> None:
        super().__init__(self.passed)
        self.loop = asyncio.get_running_loop()
        self.place = ""
        self.do: Doing | None = None

    def passed(self, place: str) -> None:
        if place == self.place and self.do is not None:
            do, self.do = self.do, None
            asyncio.run_coroutine_threadsafe(do(), self.loop).result(10)


PICTURE = task_record(1)
NEEDS = Dependency(row_id=PICTURE.row_id, workflow_type=PICTURE.workflow_type)
VIDEO = task_record(
    2,
    row_id=PICTURE.row_id,
    task_id="vid_20261121_000001",
    workflow_type="图生视频",
    depends_on=NEEDS,
)
OTHER = task_record(3)


def ended(task: Task, *stages: Stage) -> Task:
    for stage in stages:
        task = task.moved(stage, at=AT)
    return task


DONE = ended(PICTURE, Stage.SUBMITTING, Stage.COLLECTING, Stage.DONE)
FAILED = ended(VIDEO, Stage.FAILED)


async def ledger_with_ended_rows(folder: Path, disk: Disk) -> Ledger:
    """Return a ledger with a row whose video failed, and another that was cancelled."""
    ledger = in_folder(folder, disk)
    await ledger.open()
    await ledger.commit(batch_record(), PICTURE, VIDEO, OTHER, op="batch.accepted")
    moves = (ended(PICTURE, Stage.SUBMITTING), ended(PICTURE, Stage.SUBMITTING, Stage.COLLECTING))
    await ledger.commit(*moves, DONE, FAILED, ended(OTHER, Stage.CANCELLED), op="a.b")
    return ledger


async def archived_while(ledger: Ledger, disk: Meanwhile, *records: Task) -> int:
    async def commit() -> None:
        await ledger.commit(*records, op="a.b")

    disk.place, disk.do = "finished_index.after_sync", commit
    return await ledger.archive_finished(MUCH_LATER)


async def test_a_row_that_is_retried_while_it_is_copied_stays_and_can_run(folder: Path) -> None:
    ledger = await ledger_with_ended_rows(folder, disk := Meanwhile())
    retried = FAILED.changed(at=AT, retry_count=1)
    again = msgspec.structs.replace(
        VIDEO, task_id="vid_20261121_000002", retried_from=VIDEO.task_id, retry_number=1
    )
    assert await archived_while(ledger, disk, retried, again) == 1  # the other row
    assert ledger.newest_done_of_family(*PICTURE.family) == DONE
    assert ledger.family(*VIDEO.family) == [retried, again]
    await ledger.close()
    assert verify(folder) == []


async def test_a_picture_that_another_rows_video_comes_to_need_stays(folder: Path) -> None:
    ledger = await ledger_with_ended_rows(folder, disk := Meanwhile())
    rerun = msgspec.structs.replace(
        VIDEO, task_id="vid_20261121_000002", row_id="spring-abc234:9", batch_id="spring-abc234"
    )
    assert await archived_while(ledger, disk, rerun) == 1
    assert ledger.newest_done_of_family(*PICTURE.family) == DONE
    await ledger.close()
    assert verify(folder) == []


async def test_news_for_a_table_is_not_archived_untold(folder: Path) -> None:
    ledger = await ledger_with_ended_rows(folder, disk := Meanwhile())
    news = DONE.changed(at=AT, publish=Publish(state="pending"))
    assert await archived_while(ledger, disk, news) == 1
    assert ledger.task(DONE.task_id) == news
    await ledger.commit(told := news.changed(at=AT, publish=Publish(state="done")), op="a.b")
    assert await ledger.archive_finished(MUCH_LATER) == 2
    assert await ledger.find_archived(DONE.task_id) == told  # of both copies the last counts
    await ledger.close()
    assert verify(folder) == []


async def test_nobody_goes_on_with_a_row_whose_leaving_is_being_written(folder: Path) -> None:
    ledger = await ledger_with_ended_rows(folder, disk := Meanwhile())
    refused: list[Task] = []
    again = msgspec.structs.replace(VIDEO, task_id="vid_20261121_000002")
    of_another_row = msgspec.structs.replace(again, row_id="spring-abc234:9")

    async def go_on() -> None:
        for task in (DONE.changed(at=AT), again, of_another_row):
            with pytest.raises(Conflict):
                await ledger.commit(task, op="a.b")
            refused.append(task)

    disk.place, disk.do = "journal.before_append", go_on
    assert await ledger.archive_finished(MUCH_LATER) == 3
    assert len(refused) == 3
    assert list(ledger.tasks()) == []
    await ledger.commit(again, op="a.b")  # it can wait for ever, but nothing is lost of it
    await ledger.close()
    assert verify(folder) == []


async def test_the_id_of_a_row_that_no_snapshot_ever_held_is_not_given_again(folder: Path) -> None:
    ledger = in_folder(folder)
    await ledger.open()
    await ledger.commit(batch_record(), task_record(1), op="batch.accepted")
    await ledger.compact()
    cancelled = ended(OTHER, Stage.CANCELLED)
    await ledger.commit(OTHER, op="a.b")
    await ledger.commit(cancelled, op="a.b")
    assert await ledger.archive_finished(MUCH_LATER) == 1
    await ledger.close()
    ledger = in_folder(folder)
    await ledger.open()
    assert ledger.new_task_ids(OTHER.workflow_type, AT) == ["img_20261121_000004"]
    await ledger.close()


async def test_rows_move_back_in_the_snapshot_over_one_that_left_while_they_had_moved_on(
    folder: Path,
) -> None:
    ledger = in_folder(folder)
    await ledger.open()
    rows = [task_record(number) for number in range(1, 41)]
    await ledger.commit(batch_record(), *rows, op="batch.accepted")
    await ledger.commit(ended(rows[1], Stage.CANCELLED), op="a.b")
    await ledger.compact()
    longer = rows[0].moved(Stage.SUBMITTING, at=AT, server="gpu-a", error_message="x" * 300)
    await ledger.commit(longer, op="a.b")
    assert await ledger.archive_finished(MUCH_LATER) == 1
    await ledger.compact()
    for stage in (Stage.COLLECTING, Stage.DONE):
        longer = longer.moved(stage, at=AT)
        await ledger.commit(longer, op="a.b")
    assert await ledger.archive_finished(MUCH_LATER) == 1
    await ledger.compact()
    assert [ledger.task(row.task_id) for row in rows[2:]] == rows[2:]
    await ledger.close()
    assert verify(folder) == []


async def test_the_lock_is_kept_as_long_as_a_thread_writes_to_the_archive(folder: Path) -> None:
    ledger = await ledger_with_ended_rows(folder, disk := Meanwhile())
    closing: list[asyncio.Task[None]] = []
    refused: list[BaseException | None] = []

    async def stop() -> None:
        archiving.cancel()
        closing.append(asyncio.create_task(ledger.close()))
        await asyncio.wait(closing, timeout=0.5)
        refused.extend(await asyncio.gather(in_folder(folder).open(), return_exceptions=True))

    disk.place, disk.do = "finished.after_append_before_sync", stop
    archiving = asyncio.create_task(ledger.archive_finished(MUCH_LATER))
    with pytest.raises(asyncio.CancelledError):
        await archiving
    await until(lambda: refused)
    await closing[0]
    assert isinstance(refused[0], LedgerLocked)
    await ledger.open()
    assert len(list(ledger.tasks())) == 3
    await ledger.close()
    assert verify(folder) == []
