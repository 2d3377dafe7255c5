"""Notices that a batch has nothing left to do, and says so in the ledger."""

import asyncio

import structlog

from daemon.clock import Clock
from ledger.batch import BatchStatus
from ledger.entry import Transaction
from ledger.errors import Conflict, LedgerClosed, UnknownRecord
from ledger.ledger import Ledger
from ledger.status import OPEN_STAGES, Stage
from ledger.task import Task
from ledger.timestamps import to_timestamp

log = structlog.get_logger()

#: The safety net under the change feed.
IDLE_SECONDS = 30.0


def has_work_left(ledger: Ledger, batch_id: str) -> bool:
    """Say whether any task of the batch is open and not blocked."""
    counts = ledger.counts(batch_id)
    if any(counts.get(stage) for stage in OPEN_STAGES - {Stage.WAITING, Stage.SUBMITTING}):
        return True
    return any(
        task.blocked_by is None
        for task in ledger.in_stage(Stage.WAITING, Stage.SUBMITTING)
        if task.batch_id == batch_id
    )


class BatchKeeper:
    """Completes running batches whose last task has ended; blocked rows keep none open."""

    name = "batches"

    def __init__(self, ledger: Ledger, clock: Clock) -> None:
        self._ledger = ledger
        self._clock = clock
        self._wake = asyncio.Event()
        self._suspects: set[str] = set()

    async def run(self, stop: asyncio.Event) -> None:
        """Watch until *stop*."""
        unsubscribe = self._ledger.subscribe(self._follow)
        self._suspects.update(
            batch.batch_id
            for batch in self._ledger.batches()
            if batch.status is BatchStatus.RUNNING
        )
        try:
            while not stop.is_set():
                self._wake.clear()
                suspects, self._suspects = self._suspects, set()
                for batch_id in suspects:
                    await self._review(batch_id)
                await self._clock.pause(IDLE_SECONDS, stop, self._wake)
        finally:
            unsubscribe()

    async def _review(self, batch_id: str) -> None:
        try:
            batch = self._ledger.batch(batch_id)
        except UnknownRecord:
            return
        if batch.status is not BatchStatus.RUNNING or has_work_left(self._ledger, batch_id):
            return
        at = to_timestamp(self._clock.now())
        try:
            await self._ledger.commit(
                batch.changed(at=at, status=BatchStatus.COMPLETED, held=None), op="batch.completed"
            )
        except (Conflict, LedgerClosed):
            self._suspects.add(batch_id)
            return
        counts = self._ledger.counts(batch_id)
        log.info(
            "batch.completed",
            batch=batch_id,
            done=counts.get(Stage.DONE, 0),
            failed=counts.get(Stage.FAILED, 0),
            blocked=counts.get(Stage.WAITING, 0),
        )

    def _follow(self, transaction: Transaction) -> None:
        for record in transaction.records:
            if isinstance(record, Task) and (
                record.stage not in OPEN_STAGES or record.blocked_by is not None
            ):
                self._suspects.add(record.batch_id)
                self._wake.set()
