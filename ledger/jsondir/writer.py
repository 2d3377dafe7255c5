"""The one thread that owns the journal: group commit and rotation.

It is told what to do through a queue and answers through callbacks, so nothing here is shared.
"""

import contextlib
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from datetime import datetime

import structlog

from ledger.backend import Snapshotted
from ledger.errors import LedgerClosed, LedgerDamaged
from ledger.jsondir.compactor import Compactor
from ledger.jsondir.files import Disk
from ledger.jsondir.folding import Folding
from ledger.jsondir.journal import encode_all
from ledger.jsondir.open_journal import OpenJournal
from ledger.jsondir.orders import Folded, Group, Limits, Message, Order, Verb
from ledger.jsondir.snapshot import Changes
from ledger.timestamps import to_timestamp

log = structlog.get_logger()


class Writer(threading.Thread):
    """Makes groups of transactions durable, in the order of their arrival."""

    def __init__(
        self,
        disk: Disk,
        compactor: Compactor,
        journal: OpenJournal,
        *,
        next_seq: int,
        changes: Changes,
        snapshotted: Snapshotted,
        damaged: bool,
        now: Callable[[], datetime],
        limits: Limits,
    ) -> None:
        super().__init__(name="ledger-writer", daemon=True)
        self._disk, self._folder, self._journal = disk, compactor.folder, journal
        self._next_seq = next_seq
        self._damaged = damaged  # then the files stay as they are: they are the evidence
        self._now, self._limits = now, limits
        self._inbox: queue.SimpleQueue[Message] = queue.SimpleQueue()
        self._folding = Folding(
            compactor,
            changes=changes,
            snapshotted=snapshotted,
            now=now,
            limits=limits,
            tell=self._inbox.put,
        )
        self._failure: LedgerClosed | None = None
        self._fault: Exception | None = None  # of our own: nothing is written until the next start

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
            try:
                closing = self._work_off(self._arrived())
                self._fold_if_due()
            except Exception as error:  # noqa: BLE001 - who commits from now on is told
                self._break(error)
        self._close(closing)

    def _work_off(self, messages: list[Message]) -> Order | None:
        """Do what the messages say, groups that follow one another together.

        Returns the order to close, if it is among them.
        """
        closing: Order | None = None
        groups: list[Group] = []
        for message in messages:
            if isinstance(message, Group):
                groups.append(message)
                continue
            self._write_groups(groups)
            groups = []
            if isinstance(message, Folded):
                self._folding.take_note(message)
            elif message.verb == "close":
                closing = message
            else:
                self._obey(message)
        self._write_groups(groups)
        return closing

    def _arrived(self) -> list[Message]:
        """Return all that is in the inbox; wait for something, or until a snapshot is due."""
        messages: list[Message] = []
        wait_seconds = self._folding.seconds_left() if self._may_fold() else None
        with contextlib.suppress(queue.Empty):
            messages.append(self._inbox.get(timeout=wait_seconds))
            while not self._inbox.empty():
                messages.append(self._inbox.get_nowait())
        return messages

    def _write_groups(self, groups: list[Group]) -> None:
        """Append what arrived together with one sync, and answer each group."""
        if not groups:
            return
        at, before_bytes = to_timestamp(self._now()), self._journal.size_bytes
        last_seqs = self._append(groups, at) if self._failure is None else []
        if self._failure is not None:
            for group in groups:
                group.answer(self._failure)
            return
        self._folding.note_growth(self._journal.size_bytes - before_bytes)
        for group, last_seq in zip(groups, last_seqs, strict=True):
            try:
                self._journal.note(self._folding.take(group.transactions), at)
            except Exception as error:  # noqa: BLE001 - the group is durable, and told so
                self._break(error)
            group.answer(last_seq)

    def _append(self, groups: list[Group], at: str) -> list[int]:
        """Return the seq of each group's last line."""
        lines: list[bytes] = []
        last_seqs: list[int] = []
        try:
            for group in groups:
                lines += encode_all(group.transactions, self._next_seq + len(lines), at)
                last_seqs.append(self._next_seq + len(lines) - 1)
            self._journal.append(lines)
            self._next_seq += len(lines)
        except Exception as error:  # noqa: BLE001 - whatever it was, nothing of the groups counts
            self._fail(error)
        return last_seqs

    def _fail(self, error: Exception) -> None:
        """End writing; try to take back at once what was not acknowledged."""
        self._failure = LedgerClosed(f"writing the journal failed: {error}")
        self._failure.__cause__ = error
        try:
            self._journal.cut_back()
        except OSError as again:
            log.warning("journal.not_cut_back", error=str(again))
        self._folding.refuse(self._failure)

    def _break(self, fault: Exception) -> None:
        """End writing until the next start, which reads from the journal what is durable.

        No snapshot is made any more: what this process knows of the changes may lack some.
        """
        log.error("ledger.writer_failed", exc_info=fault)
        self._fault = fault
        self._failure = LedgerClosed(f"writing has ended until the next start: {fault!r}")
        self._folding.refuse(self._failure)

    def _rotate(self) -> None:
        """Go on in a new journal; the one before is closed for ever."""
        try:
            following = OpenJournal.begin(self._disk, self._folder, self._next_seq)
        except OSError as error:
            self._fail(error)
            return
        self._folding.take_closed(self._journal.place, self._journal.told)
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
            self._folding.ask(order)

    def _reopen(self, order: Order) -> None:
        if self._fault is not None:
            order.done.set_exception(self._fault)
            return
        if self._failure is None:
            order.done.set_result(None)
            return
        try:
            self._disk.probe(self._folder, self._limits.probe_bytes)
            self._journal.cut_back()
            self._journal = OpenJournal.begin(self._disk, self._folder, self._next_seq)
        except OSError as error:
            order.done.set_exception(LedgerClosed(f"writing is still not possible: {error}"))
            return
        self._failure = None
        order.done.set_result(None)

    def _close(self, order: Order) -> None:
        """Leave a complete snapshot behind, as far as the disk allows."""
        self._folding.wait()
        for message in self._arrived_late():
            if isinstance(message, Folded):
                self._folding.take_note(message)
            elif isinstance(message, Group):
                message.answer(LedgerClosed("the ledger is closed"))
            else:
                message.done.set_exception(LedgerClosed("the ledger is closed"))
        if self._failure is None and not self._damaged:
            if self._journal.size_bytes > self._limits.journal_bytes_at_close:
                self._rotate()
            self._folding.finish(self._next_seq - 1, self._journal.place)
            for message in self._arrived_late():
                if isinstance(message, Folded):
                    self._folding.take_note(message)
        self._folding.refuse(LedgerClosed("the ledger is closed"))
        self._journal.close()
        order.done.set_result(None)

    def _arrived_late(self) -> list[Message]:
        messages: list[Message] = []
        while not self._inbox.empty():
            messages.append(self._inbox.get_nowait())
        return messages

    # -- snapshots -------------------------------------------------------------------------------

    def _may_fold(self) -> bool:
        return not (self._folding.under_way or self._damaged or self._failure is not None)

    def _fold_if_due(self) -> None:
        if not self._may_fold():
            return
        size_bytes = self._journal.size_bytes
        if size_bytes > self._limits.journal_bytes or (self._folding.is_asked and size_bytes):
            self._rotate()
        if self._failure is None and self._folding.seconds_left() == 0:
            self._folding.begin(self._next_seq - 1, self._journal.place)
