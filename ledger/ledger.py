"""The ledger in memory: transactions, change feed, reads.

Where each task stands is in memory, and those in process are. The others are not: reading one
costs one read of some 2 KB from the snapshot, on the loop, for it takes microseconds as long as
the system keeps the file cached, and less than a thread would. Its bytes are held against their
checksum.
"""

import asyncio
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import datetime
from time import monotonic

import structlog

from ledger.applying import Applier
from ledger.archiving import Archived, Needed, rows_to_archive, still_going
from ledger.backend import Backend
from ledger.encoding import encode
from ledger.entry import ARCHIVED, Cause, Done, Meta, Record, Transaction, as_json, cause_of
from ledger.errors import LedgerClosed, UnknownRecord
from ledger.index import Index
from ledger.listeners import KINDS, Kind, Listener
from ledger.pending import Pending, WriteSet
from ledger.reading import Reading
from ledger.slices import SLICE, SLICE_SECONDS, in_slices
from ledger.state import State
from ledger.stored import WrittenDown
from ledger.task import Json, Task
from ledger.taskids import Numbering

log = structlog.get_logger()

#: So many archived rows are known twice at most, in memory and where the store has them: 2 MB.
_FINGERPRINTS_HELD = 20_000
#: So many records are checked in one go: some two milliseconds.
RECORDS_AT_ONCE = 100


class Ledger(Reading):
    """The only door to the records for the one writing process.

    What a read returns is durable: a change is seen only after its transaction is on disk. A
    transaction of more than ``SLICE`` records becomes visible bit by bit, tasks first, its
    batches and meta records last.
    """

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._numbering = Numbering()
        self._writable = False
        self._checking = asyncio.Lock()  # one for life: who waits here outlasts a failure
        self._load(Index(State()))

    def _load(self, index: Index) -> None:
        self._index = index
        self._pending = Pending(index)
        self._applier = Applier(index, self._pending)

    async def open(self) -> None:
        """Load the state; raises LedgerLocked when another process writes it."""
        listeners = self._applier.listeners
        self._load(await self._backend.open(self._snapshotted, self._written))
        self._applier.listeners = listeners
        self._writable = True

    def _snapshotted(self, written: WrittenDown) -> None:
        self._applier.read_from(written)

    async def close(self) -> None:
        """End writing, leave a complete snapshot, release the lock.

        Changes under way are written first.
        """
        self._writable = False
        await self._backend.close()
        await self._applier.finish()

    async def reopen(self) -> None:
        """Write again after a failure; raises LedgerClosed when the disk is still unfit.

        The state stays what was acknowledged. After a fault of the writer itself that fault is
        raised: then only a new start writes again.
        """
        if self._writable:
            return
        await self._backend.reopen()
        await self._applier.finish()
        if not self._writable:  # else somebody was first, and may have changed something
            self._pending = self._applier.pending = Pending(self._index)
            self._writable = True
            log.info("ledger.reopened", last_seq=self.last_seq)

    def prove_there(self) -> None:
        """Return when the ledger is where it was opened; raises LedgerGone. Blocks, for a look.

        Whoever misses a file or folder beside it asks before that is judged, or made anew: all of
        it may have been moved away together, and will be brought back.
        """
        self._backend.prove_there()

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
        first = records[0]  # from the end of a check until it is sent nobody else has a turn
        if len(records) == 1 and isinstance(first, Task) and not self._checking.locked():
            encoded, cause = encode(first), cause_of(op, actor, reason, evidence)
            if not self._writable:
                raise LedgerClosed
            goes_on = self._pending.add_task(first)
            done = asyncio.get_running_loop().create_future()
            self._backend.append(Transaction(records, (encoded,), cause, done, first, goes_on))
        else:
            write_set = await self._check(records)
            cause = cause_of(op, actor, reason, evidence)
            if not self._writable or write_set.pending is not self._pending:
                raise LedgerClosed
            self._pending.take(write_set)
            done = self._send(records, tuple(write_set.encoded), cause)
        await done

    def _send(self, records: tuple[Record, ...], encoded: tuple[bytes, ...], cause: Cause) -> Done:
        done = asyncio.get_running_loop().create_future()
        self._backend.append(Transaction(records, encoded, cause, done))
        return done

    async def _check(self, records: Sequence[Record]) -> WriteSet:
        """Check the records of a transaction together; each may follow from one before it."""
        if len(records) > RECORDS_AT_ONCE or self._checking.locked():
            async with self._checking:  # others wait until all of a large one is checked
                write_set = WriteSet(self._pending)
                await in_slices(map(write_set.add, records))
                return write_set
        write_set = WriteSet(self._pending)
        for record in records:
            write_set.add(record)
        return write_set

    def _written(self, transactions: Sequence[Transaction], outcome: int | LedgerClosed) -> None:
        """Go on with *transactions*, the oldest under way."""
        if isinstance(outcome, int):
            self._applier.take(transactions, outcome)
            return
        if self._writable:
            log.error("ledger.writing_ended", error=str(outcome))
        self._writable = False
        self._applier.refuse(transactions, outcome)

    def new_task_ids(self, workflow_type: str, at: str, count: int = 1) -> list[str]:
        """Return ids never given before: ``img_``/``vid_`` + UTC day of *at* + running number.

        An id that was given but never committed may be given again after a restart.
        """
        return list(self.each_new_task_id(workflow_type, at, count))

    def each_new_task_id(self, workflow_type: str, at: str, count: int) -> Iterator[str]:
        """Return such ids, each made when it is asked for: for very many."""
        return self._numbering.take(self._index.meta("counters"), workflow_type, at, count)

    def subscribe(self, listener: Listener, *kinds: Kind) -> Callable[[], None]:
        """Call *listener* on the loop after each durable transaction; returns the unsubscriber.

        With *kinds* only after those that hold a record of one of them, whatever else they hold.
        Listeners are called in the order of the transactions, before the committer goes on; of a
        transaction of more than ``SLICE`` records in parts of ``PART``, tasks first. One that
        raises is logged and called again next time; the commit stands.
        """
        return self._applier.listeners.add(listener, kinds or KINDS)

    @property
    def writable(self) -> bool:
        """False once writing has ended (disk full, failed sync, closed)."""
        return self._writable

    @property
    def damage(self) -> Sequence[str]:
        """What could not be read at opening, in words; while not empty nothing is dispatched."""
        return self._index.damage

    @property
    def last_seq(self) -> int:
        """The seq of the newest durable line."""
        return self._applier.last_seq

    # -- upkeep ----------------------------------------------------------------------------------

    async def compact(self) -> None:
        """Fold the journal into the snapshot; commits go on meanwhile."""
        await self._backend.compact()

    async def archive_finished(self, now: datetime) -> int:
        """Move rows finished before *now* - ``archive_after_days`` away; returns how many tasks.

        A crash between copy and removal leaves the tasks in both places; the ledger's counts.
        """
        moved, leaving, left = 0, dict[str, list[Task]](), list[str]()
        needed = Needed(self._index)
        until = monotonic() + SLICE_SECONDS
        for row in rows_to_archive(self._index, needed, now, self._backend.archive_after_days):
            leaving |= {task.row_id: row for task in row[:1]}
            if len(leaving) >= SLICE // 2:  # rows have two tasks at most, if none was retried
                moved += await self._archive(leaving, needed, left)
                leaving = {}
            if len(left) >= _FINGERPRINTS_HELD:
                await self._let_go(left)
            if monotonic() > until:
                await asyncio.sleep(0)
                until = monotonic() + SLICE_SECONDS
        moved += await self._archive(leaving, needed, left)
        await self._let_go(left)
        return moved

    async def _archive(
        self, rows: Mapping[str, list[Task]], needed: Needed, left: list[str]
    ) -> int:
        """Move *rows*, but for those that somebody comes to need while they are copied.

        Adds to *left* the fingerprints of those that left. Returns how many tasks they are.
        """
        tasks = [task for row in rows.values() for task in row]
        places = await self._backend.archive(tasks) if tasks else {}
        await in_slices(needed.look())
        async with self._checking:  # no change is checked and not yet counted in
            going = still_going(self._index, needed, self._pending.rows, rows)
            if not going:
                return 0
            done = self._remove(going, places)
        await asyncio.shield(done)
        await asyncio.shield(done)
        left.extend(task.fingerprint for task in going if task.fingerprint)
        return len(going)

    def _remove(self, tasks: Sequence[Task], places: Mapping[str, str]) -> Done:
        """Take archived tasks out of the state; until it is durable nobody goes on with a row."""
        if not self._writable:
            raise LedgerClosed
        records = tuple(
            Meta(section=ARCHIVED, key=task.task_id, value=places[task.task_id]) for task in tasks
        )
        pending, rows = self._pending, {task.row_id for task in tasks}
        pending.leaving |= rows
        encoded, cause = tuple(map(as_json, records)), cause_of("task.archived", "daemon")
        done = self._send(records, encoded, cause)
        done.add_done_callback(lambda _: pending.leaving.difference_update(rows))
        return done

    async def know_archived(self) -> None:
        """Have what tells of archived rows made again; for when ``was_accepted`` cannot tell."""
        self._index.know_archived(await self._backend.archived_fingerprints())

    async def _let_go(self, fingerprints: list[str]) -> None:
        """Hold them in memory no longer: the store knows archived rows without."""
        if fingerprints:
            await self.know_archived()
            await in_slices(self._index.leave_to_archived(fingerprints))
            fingerprints.clear()

    async def find_archived(self, task_id: str) -> Task | None:
        """Return a task that was moved to the archive, or None."""
        return await self._backend.find_archived(task_id)

    async def find_all_archived(
        self, task_ids: Collection[str], rows: Collection[str] = ()
    ) -> Archived:
        """Return those of the tasks that are in the archive, and those of *rows* (their ids).

        What is damaged there costs the others nothing, and is told in the answer.
        """
        return await self._backend.find_all_archived(task_ids, rows)

    async def task_or_archived(self, task_id: str) -> Task:
        """Return the task, from the archive if need be; raises UnknownRecord."""
        task = self._index.find_task(task_id) or await self.find_archived(task_id)
        if task is None:
            raise UnknownRecord("task", task_id)
        return task

    async def forget_history(self, now: datetime) -> int:
        """Delete closed journals older than the store keeps them; returns how many."""
        return await self._backend.forget_history(now)
