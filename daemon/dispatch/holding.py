"""Says in the ledger why rows wait.

``blocked_by``: the row it depends on failed. ``error_kind`` and ``error_message`` of a waiting row:
no server can run it. ``held`` on its batch: the kind, or why no server takes work.
"""

import asyncio
from collections.abc import Iterator, Mapping, Sequence

import structlog

from daemon.clock import Clock
from daemon.dispatch.ready import ReadyRows, Unfit
from daemon.dispatch.servers import ServerState
from daemon.retrying import SERVER_UNREACHABLE
from ledger.batch import Batch, BatchStatus
from ledger.entry import Record
from ledger.errors import Conflict, LedgerClosed
from ledger.ledger import Ledger
from ledger.slices import in_slices
from ledger.status import Stage
from ledger.task import Task
from ledger.timestamps import to_timestamp

log = structlog.get_logger()

REVIEW_SECONDS = 2.0
#: Records a transaction: a batch of 100,000 rows must not make one huge transaction.
PORTION = 500


class Holding:
    """Keeps the words for people in step with what dispatch found; decides nothing itself."""

    name = "holding"

    def __init__(
        self,
        ledger: Ledger,
        ready: ReadyRows,
        servers: Sequence[ServerState],
        clock: Clock,
    ) -> None:
        self._ledger = ledger
        self._ready = ready
        self._servers = servers
        self._clock = clock
        self._unfit: set[str] = set()  # tasks that are marked as unfit for every server
        self._marked: set[str] = set()  # batches that may say why they wait

    async def load(self) -> None:
        """Take in what an earlier process has marked."""

        def look(task: Task) -> None:
            if task.error_kind is not None and task.not_before is None:
                self._unfit.add(task.task_id)

        await in_slices(map(look, self._ledger.each_in_stage(Stage.WAITING)))
        self._marked |= {each.batch_id for each in self._ledger.batches() if each.held is not None}

    async def run(self, stop: asyncio.Event) -> None:
        """Review until *stop* is set."""
        await self.load()
        while not stop.is_set():
            if self._ledger.writable:
                await self.review()
            await self._clock.pause(REVIEW_SECONDS, stop)

    async def review(self) -> None:
        """Write down what changed since the last review."""
        at = to_timestamp(self._clock.now())
        working = frozenset(state.name for state in self._servers if state.takes_work)
        unfit = self._ready.unfit(working) if working else {}
        records: list[Record] = [*self._block(at), *self._explain(at, unfit)]
        if working or all(state.asked for state in self._servers):
            records += await self._all_held(at, self._reasons(working, unfit))
        for start in range(0, len(records), PORTION):
            await self._write(records[start : start + PORTION])

    def _block(self, at: str) -> Iterator[Task]:
        """Yield the rows whose ``blocked_by`` must change."""
        for task_id, reason in self._ready.take_marks().items():
            task = self._ledger.task(task_id)
            if task.stage is Stage.WAITING and task.blocked_by != reason:
                yield task.changed(at=at, blocked_by=reason)

    def _explain(self, at: str, unfit: Mapping[str, Unfit]) -> Iterator[Task]:
        """Yield the rows that no server can run, newly so or no longer."""
        for task_id in self._unfit | unfit.keys():
            task = self._ledger.task(task_id)
            if task.stage is not Stage.WAITING:
                continue
            found = unfit.get(task_id)
            if found is None and task.not_before is not None:
                continue  # it was tried meanwhile, and waits for its next attempt
            kind, reason = (found.kind, found.reason) if found else (None, None)
            if (task.error_kind, task.error_message, task.not_before) != (kind, reason, None):
                yield task.changed(at=at, error_kind=kind, error_message=reason, not_before=None)
        self._unfit = set(unfit)

    def _reasons(self, working: frozenset[str], unfit: Mapping[str, Unfit]) -> dict[str, str]:
        """Return why batches wait; those that simply wait for a working server are not named."""
        if not working:
            return dict.fromkeys(self._ready.batch_ids(), self._why_none_works())
        reasons: dict[str, str] = {}
        for task_id, found in unfit.items():
            reasons.setdefault(self._ledger.task(task_id).batch_id, found.kind)
        return reasons

    async def _all_held(self, at: str, reasons: Mapping[str, str]) -> list[Batch]:
        """Return the batches whose ``held`` must change; only those with something to say count."""
        changed: list[Batch] = []

        def look(batch_id: str) -> None:
            changed.extend(self._held(at, batch_id, reasons.get(batch_id)))

        await in_slices(map(look, [*reasons, *(self._marked - reasons.keys())]))
        return changed

    def _held(self, at: str, batch_id: str, held: str | None) -> Iterator[Batch]:
        """Yield the batch if its ``held`` must change."""
        batch = self._ledger.index.find_batch(batch_id)
        if batch is None or (batch.held is None and held is None):
            self._marked.discard(batch_id)
            return
        self._marked.add(batch_id)
        if batch.status is BatchStatus.RUNNING and held != batch.held:
            log.info("batch.held" if held else "batch.released", batch=batch_id, why=held)
            yield batch.changed(at=at, held=held)

    def _why_none_works(self) -> str:
        answering = [state.health for state in self._servers if state.health is not None]
        if not answering:
            return SERVER_UNREACHABLE.kind
        drained = any(health.usable for health in answering)
        return "server_drained" if drained else "server_unusable"

    async def _write(self, records: list[Record]) -> None:
        try:
            await self._ledger.commit(*records, op="rows.reviewed")
        except Conflict:  # one of them moved meanwhile: the next review sees it
            log.debug("holding.overtaken")
        except LedgerClosed:
            log.debug("holding.not_written")
