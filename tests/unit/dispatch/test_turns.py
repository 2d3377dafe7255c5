"""Whose turn it is: all pictures first, rows retried by hand, batches that do not run."""

import pytest

from daemon.dispatch.ready import AFFINITY_STREAK, ReadyRows
from ledger.batch import BatchStatus
from ledger.ledger import Ledger
from ledger.memory import MemoryBackend
from ledger.status import Stage
from ledger.task import Task
from tests.fakes.clock import FakeClock
from tests.fakes.records import AT, batch_record
from tests.unit.actions.house import BATCH, VIDEO, row, video_of

BEFORE, LATER, LATEST = (
    "2026-11-21T10:30:00.000Z",
    "2026-11-21T11:00:00.000Z",
    "2026-11-21T12:00:00.000Z",
)


class Turns:
    def __init__(self, **order: bool) -> None:
        self.ledger = Ledger(MemoryBackend())
        self.ready = ReadyRows(self.ledger, FakeClock(), **order)

    async def open(self, *tasks: Task, **batch: object) -> "Turns":
        await self.ledger.open()
        await self.ledger.commit(batch_record(**batch), *tasks, op="rows.accepted")
        await self.ready.load()
        self.ledger.subscribe(self.ready.follow)
        return self

    def take(self, last_type: str | None = None) -> str | None:
        task = self.ready.take("a", last_type, 0, self._runs)
        return None if task is None else task.task_id

    def _runs(self, batch_id: str) -> bool:
        return self.ledger.batch(batch_id).status is BatchStatus.RUNNING

    async def move(self, task_id: str, *stages: Stage, **fields: object) -> None:
        for stage in stages:
            moved = self.ledger.task(task_id).moved(stage, at=AT, **fields)
            await self.ledger.commit(moved, op="test.moved")


DONE = (Stage.SUBMITTING, Stage.QUEUED, Stage.COLLECTING, Stage.DONE)


def retried(number: int, at: str, **fields: object) -> Task:
    return row(number, retried_from="img_20261121_000099", created_at=at, **fields)


@pytest.mark.parametrize("stage_order", [True, False])
async def test_a_video_waits_for_all_pictures_only_when_settings_say_so(stage_order: bool) -> None:
    pictures = [row(1), row(2, Stage.RUNNING)]
    turns = await Turns(stage_order=stage_order).open(*pictures, video_of(pictures[0], 3))
    first = turns.take()
    await turns.move(str(first), *DONE)
    video = video_of(pictures[0], 3).task_id
    assert turns.take() == (None if stage_order else video)
    await turns.move(pictures[1].task_id, Stage.FAILED)
    assert turns.take() == (video if stage_order else None)


async def test_a_picture_retried_later_goes_before_the_videos_again() -> None:
    failed = row(1, Stage.FAILED)
    done = row(2, Stage.DONE)
    turns = await Turns(stage_order=True).open(failed, done, video_of(done, 3))
    again = retried(4, LATER, row_id=failed.row_id)
    await turns.ledger.commit(again, op="task.retried")
    assert turns.take() == again.task_id
    assert turns.take() is None
    await turns.move(again.task_id, *DONE)
    assert turns.take() == video_of(done, 3).task_id


async def test_another_batchs_pictures_hold_up_no_video() -> None:
    done = row(1, Stage.DONE)
    other = row(9, Stage.RUNNING, batch_id="winter-abc234", row_id="winter-abc234:1")
    turns = await Turns(stage_order=True).open(done, video_of(done, 2), other)
    assert turns.take() == video_of(done, 2).task_id


async def test_a_video_retried_by_hand_waits_for_no_picture_but_its_own() -> None:
    done = row(1, Stage.DONE)
    video = video_of(done, 2, retried_from="vid_1", created_at=LATER)
    turns = await Turns(stage_order=True).open(done, row(3), video, status=BatchStatus.FAILED)
    assert turns.take() == video.task_id


async def test_without_affinity_the_oldest_row_comes_first_whatever_ran_last() -> None:
    tasks = (row(1), row(2, workflow_type=VIDEO))
    turns = await Turns(affinity=False).open(*tasks)
    assert turns.take(last_type=VIDEO) == tasks[0].task_id
    loyal = await Turns().open(*tasks)
    assert loyal.take(last_type=VIDEO) == tasks[1].task_id
    assert AFFINITY_STREAK > 0


@pytest.mark.parametrize("status", [BatchStatus.PAUSED, BatchStatus.STOPPED])
async def test_rows_retried_before_a_halt_wait_with_it_and_those_retried_after_it_run(
    status: BatchStatus,
) -> None:
    turns = await Turns().open(
        row(1), retried(2, BEFORE), retried(3, LATEST), status=status, halted_at=LATER
    )
    assert [turns.take(), turns.take()] == [row(3).task_id, None]
    resumed = turns.ledger.batch(BATCH).changed(
        at=LATEST, status=BatchStatus.RUNNING, halted_at=None
    )
    await turns.ledger.commit(resumed, op="batch.resumed")
    assert [turns.take(), turns.take(), turns.take()] == [row(1).task_id, row(2).task_id, None]


async def test_a_block_noted_but_not_yet_written_is_forgotten_when_the_picture_is_retried() -> None:
    picture = row(1)
    turns = await Turns().open(picture, video_of(picture, 2))
    await turns.move(picture.task_id, Stage.FAILED)
    video = video_of(picture, 2).task_id
    assert list(turns.ready.marks) == [video]
    await turns.ledger.commit(retried(3, LATER, row_id=picture.row_id), op="task.retried")
    assert turns.ready.marks == {}
