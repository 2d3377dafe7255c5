"""Brings a batch's record in step with its rows: its stage, too many failures, nothing left."""

import asyncio
from collections.abc import Generator, Iterator
from itertools import chain

import msgspec
import structlog

from daemon.clock import Clock
from daemon.settle.dependency import why_blocked
from daemon.settle.streaks import BATCH_RESUMED, Streaks
from daemon.words.recorded import recorded
from ledger.batch import Batch, BatchStatus
from ledger.entry import Transaction
from ledger.errors import Conflict, LedgerClosed
from ledger.ledger import Ledger
from ledger.slices import in_slices
from ledger.statistics import BatchStatistics, statistics
from ledger.status import ENDED_STAGES, Stage
from ledger.task import Task
from ledger.timestamps import to_timestamp

log = structlog.get_logger()

#: The safety net under the change feed.
IDLE_SECONDS = 30.0
#: After a review changes gather for so long: a look at a batch costs as much as a change itself.
GATHER_SECONDS = 0.1
#: Stages in which a task has ended, or may be blocked.
_TELLING_STAGES = ENDED_STAGES | {Stage.WAITING, Stage.SUBMITTING}


def has_work_left(
    ledger: Ledger, batch_id: str, stands: BatchStatistics
) -> Generator[None, None, bool]:
    """Find out, row by row, whether any task of the batch is open and not blocked for good.

    A mark may be older than the retry that lifts the block; so each blocked row is looked at.
    """
    if stands.open:
        return True
    for workflow_type in ledger.waiting_types(batch_id) if stands.blocked else ():
        for task in ledger.waiting(batch_id, workflow_type):
            if why_blocked(ledger, task) is None:
                return True
            yield
    return False


class BatchKeeper:
    """Keeps batches' stage and status; failed by too many failures in a row, or completed.

    The count of failures is written into the batch's record, for the next process; a kill loses
    at most the results of the last ``GATHER_SECONDS``, and those whose review was under way.
    """

    name = "batches"

    def __init__(self, ledger: Ledger, clock: Clock, streaks: Streaks) -> None:
        self._ledger = ledger
        self._clock = clock
        self._streaks = streaks
        self._wake = asyncio.Event()
        self._suspects: set[str] = set()

    async def run(self, stop: asyncio.Event) -> None:
        """Watch until *stop*."""
        unsubscribe = self._ledger.subscribe(self._follow, Batch, *_TELLING_STAGES)
        try:
            await in_slices(map(self._goes_on, self._ledger.index.batch_ids()))
            while not stop.is_set():
                self._wake.clear()
                await self._review_suspects()
                await self._clock.pause(GATHER_SECONDS, stop)
                await self._clock.pause(IDLE_SECONDS, stop, self._wake)
            await self._review_suspects()  # the last row may have ended the moment we were told
        finally:
            unsubscribe()

    def _goes_on(self, batch_id: str) -> None:
        """Take in a batch that an earlier process left; one that is completed stays so."""
        status = self._ledger.index.batch_status(batch_id)
        if status is not BatchStatus.COMPLETED:
            self._suspects.add(batch_id)
        if status is BatchStatus.RUNNING:
            self._tell("batch.goes_on", batch_id)

    async def _review_suspects(self) -> None:
        """Write down what changed in each batch since its last review."""
        suspects, self._suspects = self._suspects, set()
        changed: list[tuple[Batch, Batch]] = []

        def look(batch_id: str) -> Iterator[None]:
            batch = self._ledger.index.find_batch(batch_id)
            if batch is not None and (after := (yield from self._reviewed(batch))) is not None:
                changed.append((batch, after))
            yield

        await in_slices(chain.from_iterable(map(look, suspects)))
        for before, after in changed:
            await self._write(before, after)

    async def _write(self, before: Batch, after: Batch) -> None:
        op = _op(before, after)
        try:
            await self._ledger.commit(after, op=op, reason=self._reason(after, op))
        except (Conflict, LedgerClosed):  # the change that was first wakes us
            self._suspects.add(after.batch_id)
            return
        if op != "batch.counted":
            self._tell(op, after.batch_id)

    def _reviewed(self, batch: Batch) -> Generator[None, None, Batch | None]:
        """Find out how the batch should stand; None when it does."""
        stands = statistics(self._ledger, batch.batch_id)
        is_archived = not stands.total  # with all its rows, so none is open
        if batch.status is BatchStatus.COMPLETED or (
            batch.status is BatchStatus.FAILED and is_archived
        ):
            return None
        runs = batch.status is BatchStatus.RUNNING
        too_many = runs and self._streaks.too_long(batch.batch_id)
        status: BatchStatus = BatchStatus.FAILED if too_many else batch.status
        work_left = yield from has_work_left(self._ledger, batch.batch_id, stands)
        if not stands.open and statistics(self._ledger, batch.batch_id) != stands:
            self._suspect(batch.batch_id)  # rows have moved while we looked: look anew
            return None
        if not work_left:
            status = _ended(status is BatchStatus.FAILED, stands)
        after = msgspec.structs.replace(
            batch,
            stage=batch.stage if is_archived else stands.stage,
            status=status,
            failures_in_a_row=self._streaks.count(batch.batch_id),
        )
        if status is not BatchStatus.RUNNING:
            after = msgspec.structs.replace(after, held=None)
        if after == batch:
            return None
        return after.changed(at=to_timestamp(self._clock.now()))

    def _reason(self, after: Batch, op: str) -> str | None:
        if op != "batch.failed":
            return None
        return recorded("failures_in_a_row", count=after.failures_in_a_row)

    def _tell(self, event: str, batch_id: str) -> None:
        stands = statistics(self._ledger, batch_id)
        log.info(
            event,
            batch=batch_id,
            stage=stands.stage,
            done=stands.completed,
            failed=stands.failed,
            pending=stands.pending,
            processing=stands.processing,
            blocked=stands.blocked,
            going_on=stands.open if self._runs(batch_id) else 0,
        )

    def _runs(self, batch_id: str) -> bool:
        return self._ledger.index.batch_status(batch_id) is BatchStatus.RUNNING

    def _follow(self, transaction: Transaction) -> None:
        for record in transaction.records:
            if isinstance(record, Batch):
                if transaction.op == BATCH_RESUMED:
                    self._tell(BATCH_RESUMED, record.batch_id)
                self._suspect(record.batch_id)
            elif isinstance(record, Task) and (
                record.stage in ENDED_STAGES or record.blocked_by is not None
            ):
                self._suspect(record.batch_id)

    def _suspect(self, batch_id: str) -> None:
        self._suspects.add(batch_id)
        self._wake.set()


def _ended(has_failed: bool, stands: BatchStatistics) -> BatchStatus:  # noqa: FBT001 - private
    """Return the status of a batch that has nothing left to do.

    One that failed stays so until its failed rows have been retried with success.
    """
    return BatchStatus.FAILED if has_failed and stands.failed else BatchStatus.COMPLETED


def _op(before: Batch, after: Batch) -> str:
    """Return what the change is called; the most important of several."""
    if after.status is not before.status:
        return f"batch.{after.status}"
    return "batch.stage_reached" if after.stage != before.stage else "batch.counted"
