"""The ledger for one command without a daemon: lock, load, change, let go, all in one thread.

Loads neither an event loop nor a log: a command must be quick to start.
"""

import contextlib
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from ledger.entry import Record, Transaction, cause_of
from ledger.errors import LedgerClosed, LedgerDamaged
from ledger.jsondir import snapshot
from ledger.jsondir.compactor import Compactor
from ledger.jsondir.files import Disk
from ledger.jsondir.journal import encode
from ledger.jsondir.leaping import forget_backup_note, take_over_by_hand
from ledger.jsondir.loading import Loaded, load
from ledger.jsondir.lock import FolderLock
from ledger.jsondir.open_journal import OpenJournal
from ledger.jsondir.replacing import finish_restore
from ledger.jsondir.resuming import journal_to_write
from ledger.pending import Pending, WriteSet
from ledger.reading import Reading
from ledger.task import Json
from ledger.taskids import Numbering
from ledger.timestamps import to_timestamp

#: What snapshot and journal hold of this size is written down in a tenth of a second.
CHEAP_BYTES = 16 * 1024 * 1024


def _utc_now() -> datetime:
    return datetime.now(UTC)


class DirectLedger(Reading):
    """What ``Ledger`` is to the daemon, for a command: the same checks, the same journal.

    Entering takes the folder's lock and raises LedgerLocked, which names the holder, or
    LedgerDamaged: a damaged ledger is repaired first. Nothing is written without a commit. Leaving
    brings a snapshot of less than ``CHEAP_BYTES`` up to date, which the next daemon does with a
    larger one, and drops the lock.
    """

    def __init__(
        self,
        path: Path,
        *,
        disk: Disk | None = None,
        now: Callable[[], datetime] = _utc_now,
    ) -> None:
        self._path = path
        self._disk = disk or Disk()
        self._now = now
        self._lock = FolderLock(path, self._disk)
        self._journal: OpenJournal | None = None
        self._numbering = Numbering()
        self._writable = False

    def __enter__(self) -> Self:
        finish_restore(self._path.resolve(), self._disk)
        self._disk.make_folder(self._path)
        self._lock.take(to_timestamp(self._now()))
        try:
            self._load()
        except BaseException:
            self._lock.drop()
            raise
        self._writable = True
        return self

    def _load(self) -> None:
        self._loaded: Loaded = load(self._path, thorough=False)
        if damage := self._loaded.state.damage:
            raise LedgerDamaged("; ".join(damage))
        take_over_by_hand(self._path, self._loaded, to_timestamp(self._now()))
        self._next_seq = self._loaded.next_seq
        self._index = self._loaded.index
        self._pending = Pending(self._index)
        self._compactor = Compactor(self._path, self._disk, self._loaded.places)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        whole, self._writable = self._writable, False
        if self._journal is not None:
            self._journal.close()
            if whole:
                self._leave_behind(self._journal.size_bytes)
        self._lock.drop()

    def _leave_behind(self, journal_bytes: int) -> None:
        self._compactor.note_given(self._next_seq - 1, self._index.meta("counters"))
        self._compactor.settle_mark()
        is_cheap = self._compactor.snapshot_bytes + journal_bytes < CHEAP_BYTES
        if is_cheap and not self._loaded.damaged_snapshot:
            with contextlib.suppress(OSError, LedgerDamaged):  # the next daemon says what is wrong
                self._fold()

    def _fold(self) -> None:
        changes = self._loaded.changes
        if self._loaded.base != snapshot.CURRENT or self._loaded.places is None:
            changes = snapshot.Changes.of(self._loaded.state)
        if changes:
            at, last_seq = to_timestamp(self._now()), self._next_seq - 1
            self._loaded.places = self._compactor.write_snapshot(changes, last_seq, at)
            self._loaded.base, self._loaded.damaged_snapshot = snapshot.CURRENT, False
            self._loaded.changes = snapshot.Changes()

    def commit(
        self,
        *records: Record,
        op: str,
        actor: str,
        reason: str | None = None,
        evidence: Mapping[str, Json] | None = None,
    ) -> None:
        """Write *records* as one transaction; on return it survives kill -9 and power loss.

        Raises, with nothing written: Conflict, IllegalMove, LedgerClosed and ValueError, as
        ``Ledger.commit``. A kill in the middle leaves a torn tail that the next writer cuts off.
        """
        if not records:
            raise ValueError("a transaction has at least one record")
        write_set = WriteSet(self._pending)
        for record in records:
            write_set.add(record)
        encoded = tuple(write_set.encoded)
        transaction = Transaction(records, encoded, cause_of(op, actor, reason, evidence))
        if not self._writable:
            raise LedgerClosed
        self._append(transaction)
        for record, each in zip(records, encoded, strict=True):
            self._index.apply(record, each)
            self._loaded.changes.add(record, each)

    def _append(self, transaction: Transaction) -> None:
        at = to_timestamp(self._now())
        try:
            self._journal_to_write(at).append(encode(transaction, self._next_seq, at))
        except OSError as error:
            self._give_up()
            raise LedgerClosed(f"writing the journal failed: {error}") from error
        self._next_seq += len(transaction.records)

    def _journal_to_write(self, at: str) -> OpenJournal:
        if self._journal is None:
            journal = journal_to_write(self._disk, self._path, self._loaded, at, damaged=False)
            self._journal, self._next_seq = journal, self._loaded.next_seq
            forget_backup_note(self._path, self._disk)
        return self._journal

    def compact(self) -> None:
        """Write a fresh snapshot, and archive all journals, which it makes superfluous.

        Raises OSError. A kill leaves some of it done; the next time does the rest.
        """
        at = to_timestamp(self._now())
        journal = self._journal_to_write(at)
        if self._loaded.damaged_snapshot:
            self._compactor.set_aside(self._path / snapshot.CURRENT, at)
        if journal.size_bytes:
            journal.close()
            journal = self._journal = OpenJournal.begin(self._disk, self._path, self._next_seq)
        self._fold()
        self._compactor.archive_journals(journal.place, {})

    def _give_up(self) -> None:
        """End writing; take back at once what was not acknowledged, if the disk lets us."""
        self._writable = False
        if self._journal is not None:
            try:
                self._journal.cut_back()
            except OSError:
                return  # the next writer finds it torn, or whole: nobody was told either way

    def new_task_ids(self, workflow_type: str, at: str, count: int = 1) -> list[str]:
        """Return ids never given before; see ``Ledger.new_task_ids``."""
        return list(self.each_new_task_id(workflow_type, at, count))

    def each_new_task_id(self, workflow_type: str, at: str, count: int) -> Iterator[str]:
        """Return such ids likewise; see ``Ledger.each_new_task_id``."""
        return self._numbering.take(self._index.meta("counters"), workflow_type, at, count)

    def know_archived(self) -> None:
        """Have ``was_accepted`` know archived rows too; few commands ask for a row.

        What tells of them is made again if need be, as at a daemon's start. Raises LedgerDamaged,
        or OSError, when it cannot be read. A crash leaves each file of it as it was, or whole.
        """
        from ledger.jsondir.archived_before import archived_before  # noqa: PLC0415 - seldom asked

        at, tasks = to_timestamp(self._now()), self._loaded.state.tasks
        self._index.know_archived(archived_before(self._path, self._disk, at, tasks).rows)
