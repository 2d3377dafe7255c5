"""The ledger in memory: transactions, change feed, reads.

Whatever the daemon decides by is in memory. A finished task is not: reading one costs one read of
some 2 KB from the snapshot, on the loop, for it takes microseconds as long as the system keeps the
file cached, and less than a thread would. Its bytes are held against their checksum.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from time import monotonic
from typing import TypeAlias

import structlog

from ledger.archiving import rows_to_archive
from ledger.backend import Backend
from ledger.entry import ARCHIVED, Meta, Record, Transaction, must_be_json
from ledger.errors import LedgerClosed
from ledger.index import Index
from ledger.kept import Kept
from ledger.pending import Claim, Pending
from ledger.reading import Reading
from ledger.slices import SLICE, SLICE_SECONDS, in_slices, parts, tasks_first
from ledger.state import State
from ledger.task import Json, Task
from ledger.taskids import Numbering

log = structlog.get_logger()

Listener: TypeAlias = Callable[[Transaction], None]


class Ledger(Reading):
    """The only door to the records for the one writing process.

    What a read returns is durable: a change is seen only after its transaction is on disk. A
    transaction of more than ``SLICE`` records becomes visible bit by bit, tasks first, its
    batches and meta records last.
    """

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._listeners: list[Listener] = []
        self._numbering = Numbering()
        self._writable = False
        self._load(Index(State()))

    def _load(self, index: Index) -> None:
        self._index = index
        self._damage = index.damage
        self._last_seq = index.last_seq
        self._written_down: deque[tuple[Kept, Mapping[str, bytes | None]]] = deque()
        self._begin_writing()

    def _begin_writing(self) -> None:
        self._pending = Pending(self._index)
        self._checking = asyncio.Lock()
        self._durable: deque[tuple[Transaction, asyncio.Future[None]]] = deque()
        self._under_way: set[asyncio.Future[None]] = set()
        self._applying = False

    async def open(self) -> None:
        """Load the state; raises LedgerLocked when another process writes it."""
        self._load(await self._backend.open(self._keep))
        self._writable = True

    async def close(self) -> None:
        """End writing, leave a complete snapshot, release the lock.

        Changes under way are written first.
        """
        self._writable = False
        await self._backend.close()
        if self._under_way:
            await asyncio.wait(self._under_way)

    async def reopen(self) -> None:
        """Write again after a failure; raises LedgerClosed when the disk is still unfit.

        The state stays what was acknowledged.
        """
        if self._writable:
            return
        await self._backend.reopen()
        self._begin_writing()
        self._writable = True
        log.info("ledger.reopened", last_seq=self._last_seq)

    # -- writing ---------------------------------------------------------------------------------

    async def commit(
        self,
        *records: Record,
        op: str,
        actor: str = "daemon",
        reason: str | None = None,
        evidence: Mapping[str, Json] | None = None,
    ) -> None:
        """Write *records* as one transaction; on return it survives kill -9 and power loss.

        Raises, with nothing written: Conflict when a record's version is not the known one + 1
        (1 for a new record) or a second open task of a family would come to be, IllegalMove,
        LedgerClosed, ValueError for what JSON cannot hold. Cancelled while it waits, the
        transaction may still count.
        """
        if not records:
            raise ValueError("a transaction has at least one record")
        must_be_json([op, actor, reason, evidence and dict(evidence)])
        transaction = Transaction(
            records=records, op=op, actor=actor, reason=reason, evidence=evidence
        )
        async with self._checking:  # a large transaction is checked in slices; others wait for it
            pending = self._pending
            claim = Claim(pending)
            await in_slices(_checked(claim, records))
            self._must_be_writable(pending)
            taking = pending.take(claim, records)
            try:
                await in_slices(taking)
            finally:
                deque(taking, maxlen=0)  # cancelled: what is half taken goes all the way
                self._must_be_writable(pending)
                done = self._send(transaction)
        await asyncio.shield(done)

    def _send(self, transaction: Transaction) -> asyncio.Future[None]:
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._under_way.add(done)
        written = self._backend.append(transaction)
        written.add_done_callback(lambda seq: self._written(transaction, seq, done))
        return done

    def _must_be_writable(self, pending: Pending) -> None:
        if not self._writable or self._pending is not pending:
            raise LedgerClosed("the ledger takes no changes: it is not open, or a write failed")

    def _written(
        self, transaction: Transaction, seq: asyncio.Future[int], done: asyncio.Future[None]
    ) -> None:
        if (error := seq.exception()) is not None:
            if self._writable:
                log.error("ledger.writing_ended", error=str(error))
            self._writable = False
            self._under_way.discard(done)
            done.set_exception(error)
            done.exception()  # whoever committed may be gone; this is no news to the loop
            return
        self._last_seq = seq.result()
        self._durable.append((transaction, done))
        if not self._applying:
            self._apply_durable()

    def _apply_durable(self) -> None:
        """Apply what is durable in its order; a large transaction gives way to the loop."""
        self._applying = True
        while self._durable:
            transaction = self._durable[0][0]
            if len(transaction.records) > SLICE:
                self._apply_slice(tasks_first(transaction.records))
                return
            records = iter(transaction.records)
            while self._apply_records(records):  # in one go: it is small, and shown as a whole
                pass
            self._tell(transaction)
            self._end()
        self._applying = False
        self._keep_written()

    def _apply_slice(self, records: Iterator[Record]) -> None:
        if self._apply_records(records):
            asyncio.get_running_loop().call_soon(self._apply_slice, records)
            return
        self._tell_parts(parts(self._durable[0][0]))

    def _tell_parts(self, left: Iterator[Transaction]) -> None:
        if (part := next(left, None)) is not None:
            self._tell(part)
            asyncio.get_running_loop().call_soon(self._tell_parts, left)
            return
        self._end()
        self._apply_durable()

    def _apply_records(self, records: Iterator[Record]) -> bool:
        """Apply *records* for as long as the loop may be held; say whether some may be left."""
        until = monotonic() + SLICE_SECONDS
        for record in records:
            self._index.apply(record)
            self._pending.settle(record)
            if monotonic() > until:
                return True
        return False

    def _keep(self, kept: Kept, written: Mapping[str, bytes | None]) -> None:
        self._written_down.append((kept, written))
        self._keep_written()

    def _keep_written(self) -> None:
        """Let go of finished tasks that the store has, once all is applied that it has."""
        while self._written_down and not self._applying:
            kept, written = self._written_down[0]
            if kept.last_seq > self._last_seq:
                return
            self._index.keep(kept, written)
            self._written_down.popleft()

    def _tell(self, transaction: Transaction) -> None:
        for listener in tuple(self._listeners):
            try:
                listener(transaction)
            except Exception:  # the change is durable; a listener's fault is not the committer's
                log.exception("ledger.listener_failed", op=transaction.op)

    def _end(self) -> None:
        _, done = self._durable.popleft()
        self._under_way.discard(done)
        done.set_result(None)

    def new_task_ids(self, workflow_type: str, at: str, count: int = 1) -> list[str]:
        """Return ids never given before: ``img_``/``vid_`` + UTC day of *at* + running number.

        An id that was given but never committed may be given again after a restart.
        """
        return self._numbering.take(self._index.meta("counters"), workflow_type, at, count)

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Call *listener* on the loop after each durable transaction; returns the unsubscriber.

        Listeners are called in the order of the transactions, before the committer goes on; of a
        transaction of more than ``SLICE`` records in parts of that many, tasks first. One that
        raises is logged and called again next time; the commit stands.
        """
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    @property
    def writable(self) -> bool:
        """False once writing has ended (disk full, failed sync, closed)."""
        return self._writable

    @property
    def damage(self) -> Sequence[str]:
        """What could not be read at opening, in words; while not empty nothing is dispatched."""
        return self._damage

    @property
    def last_seq(self) -> int:
        """The seq of the newest durable line."""
        return self._last_seq

    # -- upkeep ----------------------------------------------------------------------------------

    async def compact(self) -> None:
        """Fold the journal into the snapshot; commits go on meanwhile."""
        await self._backend.compact()

    async def archive_finished(self, now: datetime) -> int:
        """Move rows finished before *now* - ``archive_after_days`` away; returns how many tasks.

        A crash between copy and removal leaves the tasks in both places; the ledger's counts.
        """
        moved = 0
        for tasks in rows_to_archive(
            self._index, now, self._backend.archive_after_days, at_most=SLICE
        ):
            places = await self._backend.archive(tasks)
            gone = [Meta(section=ARCHIVED, key=key, value=place) for key, place in places.items()]
            await self.commit(*gone, op="task.archived")
            moved += len(gone)
        return moved

    async def find_archived(self, task_id: str) -> Task | None:
        """Return a task that was moved to the archive, or None."""
        return await self._backend.find_archived(task_id)

    async def forget_history(self, now: datetime) -> int:
        """Delete closed journals older than the store keeps them; returns how many."""
        return await self._backend.forget_history(now)


def _checked(claim: Claim, records: Sequence[Record]) -> Iterator[None]:
    for record in records:
        claim.add(record)
        must_be_json(record)
        yield
