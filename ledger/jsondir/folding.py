"""When the compactor works: snapshots, and closed journals put into the archive.

All of it can wait and commits cannot, so it takes a small share of the time, and journals are
packed in a quiet moment. Used by the writer's thread; the work is done in one of its own.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

import msgspec
import structlog

from ledger.backend import Snapshotted
from ledger.entry import Transaction
from ledger.jsondir.compactor import Compactor
from ledger.jsondir.journals import JournalPlace
from ledger.jsondir.open_journal import Told
from ledger.jsondir.orders import Folded, Limits, Order
from ledger.jsondir.snapshot import Changes
from ledger.stored import WrittenDown
from ledger.timestamps import to_timestamp

log = structlog.get_logger()

#: A full disk makes snapshots fail; no use to try again at once.
AFTER_FAILURE_SECONDS = 30.0


class _Journaled(msgspec.Struct):
    """How much of the journals tells of some changes."""

    size_bytes: int = 0
    lines: int = 0


class Folding:
    """Folds what is durable into ledger.json, and has journals that it covers archived.

    *tell* gets the compactor's news in its thread; the writer hands them to ``take_note``.
    """

    def __init__(
        self,
        compactor: Compactor,
        *,
        changes: Changes,
        snapshotted: Snapshotted,
        now: Callable[[], datetime],
        limits: Limits,
        tell: Callable[[Folded], None],
    ) -> None:
        self._compactor = compactor
        self._changes = changes  # durable, but not in ledger.json
        self._snapshotted, self._now, self._limits, self._tell = snapshotted, now, limits, tell
        self._unfolded = _Journaled()  # what the journals tell of the changes
        self._under_fold = _Journaled()
        self._closed: dict[int, Told | None] = {}  # journals to be archived, by their first seq
        self._closed_at = 0.0  # monotonic; the newest of them
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="ledger-compactor")
        self._under_way = False
        self._not_before = 0.0  # monotonic; the next snapshot
        self._pressed_not_before = 0.0  # likewise, when too much waits
        self._put_off_until = 0.0  # likewise, after very much in one go; 0: it is not put off
        self._asked: list[Order] = []  # compactions, to be served by the next fold
        self._served: list[Order] = []  # by the one under way

    # -- what there is to fold -------------------------------------------------------------------

    def take(self, transactions: Sequence[Transaction]) -> Sequence[str | None]:
        """Count in transactions that are durable now.

        Returns the id of each record's task, None for one that is of no task.
        """
        if not self._changes:
            soon = time.monotonic() + self._limits.snapshot_seconds
            self._not_before = max(self._not_before, soon)
        task_ids = self._changes.take(transactions)
        self._unfolded.lines += len(task_ids)
        return task_ids

    def note_growth(self, written_bytes: int) -> None:
        """Know that the journal is so much longer.

        After as much in one go as a job file of ten thousand rows is, the next snapshot waits for
        some seconds: made beside the showing of all that, it would take a third of the
        interpreter's time from it. What follows before that snapshot puts it off no further.
        """
        self._unfolded.size_bytes += written_bytes
        if written_bytes > self._limits.stroke_bytes and not self._put_off_until:
            self._put_off_until = time.monotonic() + self._limits.after_stroke_seconds

    def take_closed(self, place: JournalPlace, told: Told | None) -> None:
        """Count in a journal that gets no more lines; without *told* it will be read."""
        self._closed[place.first_seq] = told
        self._closed_at = time.monotonic()

    def ask(self, compaction: Order) -> None:
        """Fold and archive at the next opportunity, and then tell who asked."""
        self._asked.append(compaction)

    # -- when ------------------------------------------------------------------------------------

    @property
    def under_way(self) -> bool:
        """Whether the compactor is at work; it does one thing at a time."""
        return self._under_way

    @property
    def is_asked(self) -> bool:
        """Whether somebody waits for a compaction."""
        return bool(self._asked)

    def seconds_left(self) -> float | None:
        """Return how long nothing is due, None when nothing is to be done at all."""
        if self._asked:
            return 0.0
        if self._changes:
            due = self._not_before
            if self._is_pressed():
                due = min(due, self._pressed_not_before)
            due = max(due, self._put_off_until)
        elif self._closed:
            due = self._closed_at + self._limits.quiet_seconds
        else:
            return None
        return max(0.0, due - time.monotonic())

    def _is_pressed(self) -> bool:
        """Whether so much waits to be folded that the share of time counts no more.

        The newest of each record waits in memory, taken to be as long as all are on average, and
        as much as a journal holds would keep the next start. What a snapshot writes stays in
        proportion to what the journals wrote: 17 times as much at most.
        """
        limits, least_bytes = self._limits, self._compactor.snapshot_bytes // 16
        size_bytes, lines = self._unfolded.size_bytes, self._unfolded.lines
        held_bytes = size_bytes * min(1, len(self._changes) / lines) if lines else 0
        return held_bytes > max(limits.unfolded_bytes, least_bytes) or size_bytes > max(
            limits.journal_bytes, least_bytes
        )

    def _may_archive(self) -> bool:
        """Whether closed journals need not wait any longer for a quiet moment."""
        quiet = time.monotonic() - self._closed_at >= self._limits.quiet_seconds
        return quiet or bool(self._asked) or len(self._closed) >= self._limits.waiting_journals

    # -- doing it --------------------------------------------------------------------------------

    def begin(self, last_seq: int, active: JournalPlace) -> None:
        """Have the compactor fold all up to *last_seq*, and archive journals before *active*."""
        changes, self._changes = self._changes, Changes()
        closed: Mapping[int, Told | None] | None = None
        if self._may_archive():
            closed, self._closed = self._closed, {}
        self._under_fold, self._unfolded = self._unfolded, _Journaled()
        self._put_off_until = 0.0
        self._served, self._asked = self._asked, []
        self._under_way = True
        self._thread.submit(self._fold, changes, last_seq, active, closed)

    def _fold(
        self,
        changes: Changes,
        last_seq: int,
        active: JournalPlace,
        closed: Mapping[int, Told | None] | None,
    ) -> None:
        """Write the snapshot, then archive unless *closed* is None; the compactor's thread."""
        began = time.monotonic()
        failure: Exception | None = None
        try:
            if changes:
                places = self._compactor.write_snapshot(
                    changes, last_seq, to_timestamp(self._now())
                )
                self._snapshotted(
                    WrittenDown(
                        last_seq=last_seq,
                        tasks=places.tasks,
                        batches=places.batches,
                        changed_tasks=changes.tasks,
                        changed_batches=changes.batches,
                    )
                )
                changes = Changes()
            if closed is not None:
                self._compactor.archive_journals(active, closed)
        except Exception as error:  # noqa: BLE001 - told to the writer, which decides
            failure = error
        self._tell(Folded(changes, time.monotonic() - began, failure))

    def take_note(self, folded: Folded) -> None:
        """Go on after the compactor's news; what could not be folded is to be folded again."""
        self._under_way = False
        pause = max(self._limits.snapshot_seconds, folded.seconds / self._limits.snapshot_share)
        pressed_seconds = self._limits.pressed_seconds
        if folded.error is not None:
            log.warning("snapshot.failed", error=str(folded.error))
            pause = pressed_seconds = max(pause, AFTER_FAILURE_SECONDS)
            if folded.changes:
                self._unfolded.size_bytes += self._under_fold.size_bytes
                self._unfolded.lines += self._under_fold.lines
            folded.changes.follow(self._changes)
            self._changes = folded.changes
        self._not_before = time.monotonic() + pause
        self._pressed_not_before = time.monotonic() + pressed_seconds
        for order in self._served:
            if folded.error is None:
                order.done.set_result(None)
            else:
                order.done.set_exception(folded.error)
        self._served = []

    def refuse(self, error: Exception) -> None:
        """Tell all who asked for a compaction that there will be none."""
        for order in self._asked:
            order.done.set_exception(error)
        self._asked = []

    def wait(self) -> None:
        """Return when the compactor is done for good; its news are told by then."""
        self._thread.shutdown(wait=True)

    def finish(self, last_seq: int, active: JournalPlace) -> None:
        """Fold and archive all there is, in this thread, after ``wait``."""
        changes, self._changes = self._changes, Changes()
        self._fold(changes, last_seq, active, self._closed)
