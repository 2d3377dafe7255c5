"""Says in the ledger why rows wait.

``blocked_by``: the row it depends on failed. ``error_kind`` and ``error_message`` of a waiting row:
no server can run it. ``held`` on its batch: the kind, or why no server takes work.
"""

import asyncio
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice

import msgspec
import structlog

from daemon.clock import Clock
from daemon.dispatch.ready import ReadyRows
from daemon.dispatch.servers import ServerState
from daemon.dispatch.unfit import Unfit
from daemon.retrying import SERVER_UNREACHABLE
from daemon.settle.dependency import why_blocked
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
    """Keeps the words for people in step with what dispatch found; decides nothing itself.

    A review looks at the records of those rows alone of which there is news, or of which it could
    not write them.
    """

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
        self._unfit: dict[str, Unfit] = {}  # tasks marked as unfit for every server
        self._unwritten: dict[str, None] = {}  # tasks whose change could not be written
        self._marked: set[str] = set()  # batches that may say why they wait

    async def load(self) -> None:
        """Take in what an earlier process has marked."""

        def look(task: Task) -> None:
            if task.error_kind is not None and task.not_before is None:
                self._unfit[task.task_id] = Unfit(
                    batch_id=task.batch_id, kind=task.error_kind, reason=task.error_message or ""
                )

        await in_slices(map(look, self._ledger.each_in_stage(Stage.WAITING)))
        index = self._ledger.index
        held = ((each,) if index.is_held(each) else () for each in index.batch_ids())
        await in_slices(map(self._marked.update, held))

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
        unfit = await self._ready.unfit(working) if working else {}
        await self._tell_rows(at, unfit)
        if working or all(state.asked for state in self._servers):
            batches = await self._all_held(at, self._reasons(working, unfit))
            for start in range(0, len(batches), PORTION):
                await self._write(batches[start : start + PORTION])

    async def _tell_rows(self, at: str, unfit: dict[str, Unfit]) -> None:
        """Write down why rows wait, of those of which there is news."""
        before, self._unfit = self._unfit, unfit
        unwritten, self._unwritten = self._unwritten, {}
        doubtful = {**unwritten, **self._ready.take_marks()}

        def changed(task_ids: Iterable[str]) -> Iterator[Task]:
            for task_id in task_ids:
                found = unfit.get(task_id)
                if found is before.get(task_id) and task_id not in doubtful:
                    continue
                task = self._ledger.index.find_task(task_id)
                if task is not None and task.stage is Stage.WAITING:
                    was_unfit = task_id in before or task_id in unwritten
                    told = self._told(task, found, was_unfit=was_unfit)
                    yield from () if told == task else (told.changed(at=at),)

        left = iter({**doubtful, **before, **unfit})
        while task_ids := tuple(islice(left, PORTION)):
            await self._write([*changed(task_ids)])
            await asyncio.sleep(0)

    def _told(self, task: Task, found: Unfit | None, *, was_unfit: bool) -> Task:
        """Return the row with why it is blocked, and why no server can run it."""
        told = msgspec.structs.replace(task, blocked_by=why_blocked(self._ledger, task))
        if found is not None:
            return msgspec.structs.replace(
                told, error_kind=found.kind, error_message=found.reason, not_before=None
            )
        if was_unfit and task.not_before is None:  # else it was tried, and waits to be again
            return msgspec.structs.replace(told, error_kind=None, error_message=None)
        return told

    def _reasons(self, working: frozenset[str], unfit: Mapping[str, Unfit]) -> dict[str, str]:
        """Return why batches wait; those that simply wait for a working server are not named."""
        if not working:
            return dict.fromkeys(self._ready.batch_ids(), self._why_none_works())
        reasons: dict[str, str] = {}
        for found in unfit.values():
            reasons.setdefault(found.batch_id, found.kind)
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

    async def _write(self, records: Sequence[Record]) -> None:
        if not records:
            return
        try:
            await self._ledger.commit(*records, op="rows.reviewed")
        except (Conflict, LedgerClosed) as error:  # overtaken, or the disk is full: the next review
            log.debug("holding.not_written", error=str(error))
            self._unwritten |= {each.task_id: None for each in records if isinstance(each, Task)}
