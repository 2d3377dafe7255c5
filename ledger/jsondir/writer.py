"""The one thread that owns the journal: group commit, rotation, and when to write a snapshot.

It is told what to do through a queue and answers through callbacks, so nothing here is shared.
"""

import queue
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime

import structlog

from ledger.backend import Keep
from ledger.entry import Transaction
from ledger.errors import LedgerClosed, LedgerDamaged
from ledger.jsondir.files import Disk
from ledger.jsondir.journal import encode_all
from ledger.jsondir.journals import JournalPlace
from ledger.jsondir.keeper import Keeper
from ledger.jsondir.open_journal import OpenJournal, Told
from ledger.jsondir.orders import Folded, Group, Limits, Message, Order, Verb
from ledger.jsondir.snapshot import Changes
from ledger.task import Task
from ledger.timestamps import to_timestamp

log = structlog.get_logger()

#: A full disk makes snapshots fail; no use to try again at once.
AFTER_FAILURE_SECONDS = 30.0


class Writer(threading.Thread):
    """Makes groups of transactions durable, in the order of their arrival."""

    def __init__(
        self,
        disk: Disk,
        keeper: Keeper,
        journal: OpenJournal,
        *,
        next_seq: int,
        changes: Changes,
        kept: Keep,
        damaged: bool,
        now: Callable[[], datetime],
        limits: Limits,
    ) -> None:
        super().__init__(name="ledger-writer", daemon=True)
        self._disk, self._keeper, self._journal = disk, keeper, journal
        self._next_seq = next_seq
        self._changes = changes  # durable, but not in ledger.json
        self._unfolded_bytes = 0  # of the journals these are in
        self._kept = kept
        self._damaged = damaged  # then the files stay as they are: they are the evidence
        self._now, self._limits = now, limits
        self._closed: dict[int, Told] = {}  # journals to be archived; the rest is read again
        self._inbox: queue.SimpleQueue[Message] = queue.SimpleQueue()
        self._folding = ThreadPoolExecutor(1, thread_name_prefix="ledger-keeper")
        self._folding_now = False
        self._not_before = 0.0  # monotonic; the next snapshot
        self._pressed_not_before = 0.0  # likewise, when the journals have grown too long
        self._compactions: list[Order] = []  # to be served by the next fold
        self._served: list[Order] = []  # by the one under way
        self._failure: LedgerClosed | None = None

    # -- called by other threads -----------------------------------------------------------------

    def write(self, group: Group) -> None:
        """Make a group durable and answer."""
        self._inbox.put(group)

    @property
    def journal_size_bytes(self) -> int:
        """What the open journal holds, near enough: the thread may be writing to it."""
        return self._journal.size_bytes

    def order(self, verb: Verb) -> "Future[None]":
        """Do *verb* after everything asked for before."""
        order = Order(verb, Future())
        order.done.set_running_or_notify_cancel()  # who waits may go; the order stands
        self._inbox.put(order)
        return order.done

    # -- the thread ------------------------------------------------------------------------------

    def run(self) -> None:
        """Work until told to close."""
        closing: Order | None = None
        while closing is None:
            groups: list[Group] = []
            for message in self._arrived():
                if isinstance(message, Group):
                    groups.append(message)
                    continue
                self._write_groups(groups)
                groups = []
                if isinstance(message, Folded):
                    self._take_note(message)
                elif message.verb == "close":
                    closing = message
                else:
                    self._obey(message)
            self._write_groups(groups)
            self._fold_if_due()
        self._close(closing)

    def _arrived(self) -> list[Message]:
        """Return all that is in the inbox; wait for something, or until a snapshot is due."""
        messages: list[Message] = []
        wait_seconds: float | None = None
        if self._changes and self._may_fold():
            wait_seconds = max(0.0, self._not_before - time.monotonic())
        try:
            messages.append(self._inbox.get(timeout=wait_seconds))
            while True:
                messages.append(self._inbox.get_nowait())
        except queue.Empty:
            return messages

    def _write_groups(self, groups: list[Group]) -> None:
        """Append what arrived together with one sync, and answer each group."""
        if not groups:
            return
        seq = self._next_seq
        if self._failure is None:
            self._append([each for group in groups for each in group.transactions])
        if self._failure is not None:
            for group in groups:
                group.answer(self._failure)
            return
        for group in groups:
            group.answer(seq)
            seq += sum(len(each.records) for each in group.transactions)

    def _append(self, transactions: list[Transaction]) -> None:
        at = to_timestamp(self._now())
        try:
            lines = encode_all(transactions, self._next_seq, at)
            before_bytes = self._journal.size_bytes
            self._journal.append(lines)
        except Exception as error:  # noqa: BLE001 - whatever it was, nothing of the group counts
            self._fail(error)
            return
        if not self._changes:
            soon = time.monotonic() + self._limits.snapshot_seconds
            self._not_before = max(self._not_before, soon)
        self._unfolded_bytes += self._journal.size_bytes - before_bytes
        task_ids: list[str | None] = []
        for transaction in transactions:
            for place, record in enumerate(transaction.records):
                self._changes.add(record, transaction.encoded[place])
                task_ids.append(record.task_id if isinstance(record, Task) else None)
        self._journal.note(task_ids, at)
        self._next_seq += len(lines)

    def _fail(self, error: Exception) -> None:
        """End writing; try to take back at once what was not acknowledged."""
        self._failure = LedgerClosed(f"writing the journal failed: {error}")
        try:
            self._journal.cut_back()
        except OSError as again:
            log.warning("journal.not_cut_back", error=str(again))
        for order in self._compactions:
            order.done.set_exception(self._failure)
        self._compactions = []

    def _rotate(self) -> None:
        """Go on in a new journal; the one before is closed for ever."""
        try:
            following = OpenJournal.begin(self._disk, self._keeper.folder, self._next_seq)
        except OSError as error:
            self._fail(error)
            return
        if (told := self._journal.told) is not None:
            self._closed[self._journal.place.first_seq] = told
        self._journal.close()
        self._journal = following

    # -- orders ----------------------------------------------------------------------------------

    def _obey(self, order: Order) -> None:
        if order.verb == "reopen":
            self._reopen(order)
        elif self._damaged:
            order.done.set_exception(LedgerDamaged("a damaged ledger is repaired first"))
        elif self._failure is not None:
            order.done.set_exception(self._failure)
        else:
            self._compactions.append(order)

    def _reopen(self, order: Order) -> None:
        if self._failure is None:
            order.done.set_result(None)
            return
        try:
            self._disk.probe(self._keeper.folder, self._limits.probe_bytes)
            self._journal.cut_back()
            self._journal = OpenJournal.begin(self._disk, self._keeper.folder, self._next_seq)
        except OSError as error:
            order.done.set_exception(LedgerClosed(f"writing is still not possible: {error}"))
            return
        self._failure = None
        order.done.set_result(None)

    def _close(self, order: Order) -> None:
        """Leave a complete snapshot behind, as far as the disk allows."""
        self._folding.shutdown(wait=True)
        for message in self._arrived_late():
            if isinstance(message, Folded):
                self._take_note(message)
            elif isinstance(message, Group):
                message.answer(LedgerClosed("the ledger is closed"))
            else:
                message.done.set_exception(LedgerClosed("the ledger is closed"))
        if self._failure is None and not self._damaged:
            if self._journal.size_bytes > self._limits.journal_bytes_at_close:
                self._rotate()
            self._fold_aside(self._changes, self._next_seq - 1, self._journal.place, self._closed)
            for message in self._arrived_late():
                if isinstance(message, Folded):
                    self._take_note(message)
        for waiting in self._compactions:
            waiting.done.set_exception(LedgerClosed("the ledger is closed"))
        self._journal.close()
        order.done.set_result(None)

    def _arrived_late(self) -> list[Message]:
        messages: list[Message] = []
        while not self._inbox.empty():
            messages.append(self._inbox.get_nowait())
        return messages

    # -- snapshots -------------------------------------------------------------------------------

    def _may_fold(self) -> bool:
        return not (self._folding_now or self._damaged or self._failure is not None)

    def _fold_if_due(self) -> None:
        if not self._may_fold():
            return
        if self._journal.size_bytes > self._limits.journal_bytes or (
            self._compactions and self._journal.size_bytes
        ):
            self._rotate()
        if not (self._compactions or self._must_fold() or time.monotonic() >= self._not_before):
            return
        if self._failure is None and (self._changes or self._compactions):
            self._fold()

    def _must_fold(self) -> bool:
        """Whether the journals have grown so long that the share of time counts no more.

        Then what a snapshot writes is in proportion to what the changes wrote.
        """
        limit_bytes = max(self._limits.journal_bytes, self._keeper.snapshot_bytes)
        return self._unfolded_bytes > limit_bytes and time.monotonic() >= self._pressed_not_before

    def _fold(self) -> None:
        changes, self._changes = self._changes, Changes()
        self._unfolded_bytes = 0
        self._served, self._compactions = self._compactions, []
        self._folding_now = True
        closed, self._closed = self._closed, {}
        last_seq, active = self._next_seq - 1, self._journal.place
        self._folding.submit(self._fold_aside, changes, last_seq, active, closed)

    def _fold_aside(
        self, changes: Changes, last_seq: int, active: JournalPlace, closed: Mapping[int, Told]
    ) -> None:
        """Write the snapshot and archive the journals before *active*; the keeper's thread."""
        began = time.monotonic()
        failure: Exception | None = None
        try:
            if changes:
                places = self._keeper.write_snapshot(changes, last_seq, to_timestamp(self._now()))
                self._kept(places, changes.tasks)
                changes = Changes()
            self._keeper.archive_journals(active, closed)
        except Exception as error:  # noqa: BLE001 - told to the writer, which decides
            failure = error
        self._inbox.put(Folded(changes, time.monotonic() - began, failure))

    def _take_note(self, folded: Folded) -> None:
        self._folding_now = False
        pause = max(self._limits.snapshot_seconds, folded.seconds / self._limits.snapshot_share)
        if folded.error is not None:
            log.warning("snapshot.failed", error=str(folded.error))
            pause = max(pause, AFTER_FAILURE_SECONDS)
            folded.changes.follow(self._changes)
            self._changes = folded.changes
        self._not_before = time.monotonic() + pause
        self._pressed_not_before = time.monotonic() + self._limits.pressed_seconds
        for order in self._served:
            if folded.error is None:
                order.done.set_result(None)
            else:
                order.done.set_exception(folded.error)
        self._served = []
