"""The ledger's store in a folder of JSON files; one process writes it, any may read along."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from time import monotonic
from typing import TypeVar

import structlog

from ledger.archiving import Archived
from ledger.backend import Snapshotted, Written
from ledger.entry import Transaction
from ledger.errors import LedgerClosed, LedgerGone
from ledger.fingerprints import KnownFingerprints
from ledger.index import Index
from ledger.jsondir import archive, snapshot
from ledger.jsondir.archived_before import archived_before
from ledger.jsondir.archived_rows import catch_up
from ledger.jsondir.compactor import Compactor, forget_history
from ledger.jsondir.files import Disk
from ledger.jsondir.leaping import forget_backup_note, spare_ids, take_over_by_hand
from ledger.jsondir.loading import Loaded, load
from ledger.jsondir.lock import FolderLock
from ledger.jsondir.orders import Group, Limits
from ledger.jsondir.replacing import finish_restore
from ledger.jsondir.resuming import journal_to_write, torn_tail
from ledger.jsondir.writer import Writer
from ledger.stored import WrittenDown
from ledger.task import Task
from ledger.timestamps import to_timestamp

log = structlog.get_logger()

T = TypeVar("T")


def _utc_now() -> datetime:
    return datetime.now(UTC)


class JsonDirBackend:
    """Keeps the ledger in a folder, as contract §5 describes its files.

    Opening a folder with damage succeeds: ``State.damage`` lists it, the files stay as they are,
    changes are still written, and neither snapshot nor archive is touched until ``repair``.
    """

    def __init__(
        self,
        path: Path,
        *,
        disk: Disk | None = None,
        now: Callable[[], datetime] = _utc_now,
        archive_after_days: float = 30,
        history_days: float = 365,
        limits: Limits | None = None,
        committed: Callable[[float], None] = lambda _seconds: None,
    ) -> None:
        """Take the folder; *committed* is told, on the loop, how long each group took."""
        self._path = path
        self._disk = disk or Disk()
        self._now = now
        self.archive_after_days = archive_after_days
        self._history_days = history_days
        self._limits = limits or Limits()
        self._lock: FolderLock | None = None
        self._writer: Writer | None = None
        self._compactor: Compactor | None = None
        self._gathering: list[Transaction] = []
        self._upkeep: set[Awaitable[object]] = set()  # what threads of ours write beside it
        self._committed = committed
        self._written: Written = _tell_nobody

    @property
    def journal_size_bytes(self) -> int:
        """What the open journal holds; 0 while none is open."""
        return 0 if self._writer is None else self._writer.journal_size_bytes

    async def open(self, snapshotted: Snapshotted, written: Written) -> Index:
        """Lock the folder, load it, and begin writing; see ``Backend.open``."""
        loop = asyncio.get_running_loop()

        def told(state: WrittenDown) -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(snapshotted, state)

        index = await asyncio.to_thread(self._open, told)
        self._written = written
        return index

    def _open(self, snapshotted: Snapshotted) -> Index:
        finish_restore(self._path.resolve(), self._disk)
        self._disk.make_folder(self._path)
        lock = FolderLock(self._path, self._disk)
        lock.take(to_timestamp(self._now()))
        try:
            loaded = load(self._path)
            self._know_archived(loaded)
            writer = self._begin(loaded, snapshotted)
        except BaseException:
            lock.drop()
            raise
        self._lock, self._writer = lock, writer
        writer.start()
        return loaded.index

    def _know_archived(self, loaded: Loaded) -> None:
        """Have the index know the archived rows; what tells of them is made again if need be."""
        at, tasks = to_timestamp(self._now()), loaded.state.tasks
        before = archived_before(self._path, self._disk, at, tasks)
        if before.mended:
            log.warning("archive.index_made_again", files=before.mended)
        if before.gone:
            log.warning("archive.index_gone", files=before.gone)
        if before.unwritten:  # the daemon starts and waits for space
            log.warning("archive.rows_held_in_memory", error=str(before.unwritten))
        loaded.index.know_archived(before.rows)

    def _begin(self, loaded: Loaded, snapshotted: Snapshotted) -> Writer:
        damaged = bool(loaded.state.damage)
        at = to_timestamp(self._now())
        compactor = Compactor(self._path, self._disk, loaded.places, _warn)
        self._compactor = compactor
        if loaded.damaged_snapshot and not damaged:
            name = compactor.set_aside(self._path / snapshot.CURRENT, at)
            log.warning("snapshot.rebuilt", kept_aside=name, last_seq=loaded.state.last_seq)
        if not damaged and (torn := torn_tail(self._path, loaded)) is not None:
            log.warning("journal.tail_cut", file=torn[0], bytes=torn[1])
        if damaged:
            spare_ids(self._path, loaded)
        if (leapt := take_over_by_hand(self._path, loaded, at)) is not None:
            log.warning("ledger.older_copy_found", lost=leapt.lost, ids_go_on_after=leapt.counters)
        journal = journal_to_write(self._disk, self._path, loaded, at, damaged=damaged)
        compactor.note_given(loaded.next_seq - 1, loaded.state.meta["counters"])
        compactor.settle_mark()
        if not damaged:
            forget_backup_note(self._path, self._disk)
        if loaded.lost_history is not None and not damaged:
            first, last = loaded.lost_history
            log.warning("journal.history_lost", first_seq=first, last_seq=last)
        changes = loaded.changes
        if loaded.base != snapshot.CURRENT or loaded.places is None:
            changes = snapshot.Changes.of(loaded.state)
        return Writer(
            self._disk,
            compactor,
            journal,
            next_seq=loaded.next_seq,
            changes=changes,
            snapshotted=snapshotted,
            damaged=damaged,
            now=self._now,
            limits=self._limits,
        )

    def prove_there(self) -> None:
        """Look for the folder; see ``Backend.prove_there``."""
        if not self._path.is_dir():
            raise LedgerGone(str(self._path))

    def append(self, transaction: Transaction) -> None:
        """Write *transaction* with all others of this round of the loop; see ``Backend.append``."""
        if not self._gathering:
            asyncio.get_running_loop().call_soon(self._hand_over)
        self._gathering.append(transaction)

    def _hand_over(self) -> None:
        gathered, self._gathering = self._gathering, []
        if not gathered:
            return
        loop, began = asyncio.get_running_loop(), monotonic()

        def tell(outcome: int | LedgerClosed) -> None:
            self._committed(monotonic() - began)
            self._written(gathered, outcome)

        def answer(outcome: int | LedgerClosed) -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(tell, outcome)

        if self._writer is None:
            self._written(gathered, LedgerClosed("the ledger is closed"))
        else:
            self._writer.write(Group(gathered, answer))

    async def compact(self) -> None:
        """Close the journal, fold it into the snapshot, archive it; see ``Backend.compact``."""
        await asyncio.wrap_future(self._running().order("compact"))

    async def reopen(self) -> None:
        """Prove that there is space, cut off what failed, go on in a new journal."""
        self._hand_over()  # given before, it fails with what it may follow from
        await asyncio.wrap_future(self._running().order("reopen"))

    async def archive(self, tasks: Sequence[Task]) -> dict[str, str]:
        """Copy tasks into ``archive/YYYY-MM.jsonl.gz``; see ``Backend.archive``."""
        return await self._under_lock(partial(self._archive, tasks))

    def _archive(self, tasks: Sequence[Task]) -> dict[str, str]:
        self.prove_there()  # its folder would be made anew
        return archive.put(self._path, self._disk, tasks)

    async def archived_fingerprints(self) -> KnownFingerprints:
        """Return what knows the archived rows; see ``Backend.archived_fingerprints``."""
        return await self._under_lock(partial(catch_up, self._path, self._disk))

    async def find_archived(self, task_id: str) -> Task | None:
        """Return an archived task or None."""
        return await asyncio.to_thread(archive.find, self._path, task_id)

    async def find_all_archived(
        self, task_ids: Collection[str], rows: Collection[str] = ()
    ) -> Archived:
        """Return those of the tasks that are archived, and what of the archive is damaged."""
        return await asyncio.to_thread(archive.find_all, self._path, task_ids, rows)

    async def forget_history(self, now: datetime) -> int:
        """Remove archived journals past ``history_days``."""
        return await self._under_lock(
            partial(forget_history, self._path, self._disk, now, self._history_days)
        )

    async def _under_lock(self, write: Callable[[], T]) -> T:
        """Have a thread *write*; whoever asked may be cancelled, the lock waits for it."""
        written = asyncio.ensure_future(asyncio.to_thread(write))
        self._upkeep.add(written)
        written.add_done_callback(self._upkeep.discard)
        return await asyncio.shield(written)

    async def close(self) -> None:
        """Write what is under way and a complete snapshot, then drop the lock."""
        self._hand_over()
        if self._writer is None:
            return
        closed = self._writer.order("close")
        writer, self._writer = self._writer, None
        try:
            await asyncio.wrap_future(closed)
        finally:
            await asyncio.to_thread(writer.join)
            await asyncio.gather(*self._upkeep, return_exceptions=True)
            if self._compactor is not None:
                await asyncio.to_thread(self._compactor.settle_mark)
            if self._lock is not None:
                self._lock.drop()
                self._lock = None
        await asyncio.sleep(0)  # answers that came with the last write reach their committers

    def _running(self) -> Writer:
        if self._writer is None:
            raise LedgerClosed("the ledger is not open")
        return self._writer


def _warn(event: str, error: Exception) -> None:
    log.warning(event, error=str(error))


def _tell_nobody(transactions: Sequence[Transaction], outcome: int | LedgerClosed) -> None:
    """Do nothing: a store that is not open was given nothing, and nobody waits."""
