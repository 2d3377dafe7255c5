"""The outbox of one table: rows with news, told many by one write until the ledger knows it."""

import asyncio
import random
from collections.abc import Callable, Sequence
from pathlib import Path

import structlog

from daemon import failpoint
from daemon.clock import Clock
from daemon.publish.archived_rows import ArchivedRows
from daemon.publish.due import GATHER_SECONDS, PROGRESS_SECONDS, Due
from daemon.publish.row_news import RowNews, is_replaced
from daemon.publish.told_rows import Shown, ToldRows
from daemon.publish.uploading import Uploads
from daemon.tables.cells import Change, Outcome, Result, Value
from daemon.tables.errors import Misconfigured, TableError
from daemon.tables.handle import TableHandle
from daemon.tables.overwritten import Overwritten, newly_overwritten, overwritten_rows
from ledger.entry import Transaction
from ledger.errors import LedgerError
from ledger.ledger import Ledger
from ledger.status import OPEN_STAGES
from ledger.task import Task

log = structlog.get_logger()

#: Rows told by one write: a file is written whole whatever their number, files are uploaded before.
PORTION, PORTION_WITH_FILES = 2000, 100
#: Rows whose cells are put together before the loop goes on.
_SLICE = 100
#: Writing takes at most one part in so many of the time; a large file takes long to write.
#: Uploads do not count: Feishu sets their pace, and no other result is to wait five times as long.
REST_FACTOR = 5.0
#: First and longest pause after a failure, and the one while only a person can mend it.
BACKOFF_SECONDS = (2.0, 300.0)
MISCONFIGURED_SECONDS = 60.0
#: Failures after which a run that is to end does not wait for the table any longer.
GIVEN_UP_AFTER_FAILURES = 3
#: Nor does it wait when the next try is further off: a person must act, or a month must end.
HOPELESS_SECONDS = 45.0
#: Share of a pause that chance may add.
_JITTER = 0.3
_WRITTEN = Outcome(result=Result.WRITTEN)


class TableOutbox:
    """Tells one table what is new of its rows, in the order in which it came to be.

    A finished task's record says whether its table was told; so a kill at any instant leads to
    the same cells again, which the table holds already. An upload is noted before it is used.
    Nothing here touches a task's stage.
    """

    def __init__(
        self,
        handle: TableHandle,
        ledger: Ledger,
        absolute: Callable[[str], Path],
        clock: Clock,
        *,
        page: str = "",
    ) -> None:
        """*absolute*: where a recorded path lies; *page*: where people reach our page."""
        self.name = handle.name
        self._handle = handle
        self._ledger = ledger
        self._clock = clock
        self._news = RowNews(ledger, handle, absolute, page)
        self._uploads = Uploads(handle, ledger, self._news, clock)
        self._told_rows = ToldRows(handle, ledger, self._news, clock)
        self._archived = ArchivedRows(ledger, handle.name)
        self._due: dict[str, Due] = {}
        self._told: dict[str, dict[str, Value]] = {}  # rows that go on: what their cells hold
        self._failures = 0
        self._not_before = 0.0
        self._telling = False

    @property
    def idle(self) -> bool:
        """Whether nothing is to be told soon, or telling it is hopeless for now."""
        now = self._clock.monotonic()
        soon = now + PROGRESS_SECONDS / 2
        urgent = self._telling or any(due.at < soon for due in self._due.values())
        urgent = urgent or bool(self._archived)
        waits_long = self._failures > 0 and self._not_before - now > HOPELESS_SECONDS
        return not urgent or waits_long or self._failures >= GIVEN_UP_AFTER_FAILURES

    async def load(self) -> None:
        """Take in what earlier processes left to be told; what changes meanwhile counts."""
        for number, task_id in enumerate(self._ledger.unpublished(self.name), start=1):
            if number % _SLICE == 0:
                await asyncio.sleep(0)
            task = self._ledger.index.find_task(task_id)
            if task is not None and not task.publish.is_settled:
                self._take_in(task)
        for note in overwritten_rows(self._ledger, self.name):
            self._take_in_again(note)

    def follow(self, transaction: Transaction) -> bool:
        """Take in a durable change; says whether there are news in it."""
        news = False
        for note in newly_overwritten(self.name, transaction.records):
            self._take_in_again(note)
            news = True
        for record in transaction.records:
            if isinstance(record, Task) and not record.publish.is_settled:
                row = record.metadata.table_row
                if row is not None and row.table == self.name:
                    self._take_in(record)
                    news = True
        return news

    def seconds_to_next(self) -> float:
        """Return how long there is nothing to do."""
        now = self._clock.monotonic()
        first = min((due.at for due in self._due.values()), default=now + 3600.0)
        first = now if self._archived else first
        return max(first, self._not_before) - now

    async def tell(self, *, at_once: bool = False) -> None:
        """Write what is due; a failure is noted in the table's standing and tried again later.

        *at_once*: everything that is new, whatever was to be waited for.
        """
        now = self._clock.monotonic()
        if not at_once and self.seconds_to_next() > 0:
            return
        try:
            if self._archived:
                await self._take_in_archived()
        except LedgerError as error:
            await self._postpone(error)
            return
        keys = [key for key, due in self._due.items() if at_once or due.at <= now + GATHER_SECONDS]
        portion = PORTION_WITH_FILES if self._handle.table.takes_files else PORTION
        rows = {key: self._due.pop(key) for key in keys[:portion]}
        if not rows:
            return
        self._telling = True
        try:
            began = await self._tell(rows)
        except (TableError, LedgerError) as error:
            self._put_back(rows)
            await self._postpone(error)
        else:
            self._failures = 0
            self._not_before = (1 + REST_FACTOR) * self._clock.monotonic() - REST_FACTOR * began
            await self._handle.note_writing(None)
        finally:
            self._telling = False

    def _take_in(self, task: Task) -> None:
        row = task.metadata.table_row
        assert row is not None  # noqa: S101 - only tasks of a table come here
        self._merge(row.key, Due.of(task, row.workflow_types, self._clock.monotonic()))

    def _take_in_again(self, note: Overwritten) -> None:
        """Have a row told anew, whatever it was told before."""
        task = self._ledger.index.find_task(note.task_id)
        if task is None:
            self._archived.add(note)
            return
        if (row := task.metadata.table_row) is None:
            return
        self._told.pop(note.key, None)
        tasks = self._news.tasks(task.row_id, row.workflow_types) or [task]
        due = Due.again(tasks, row.workflow_types, self._clock.monotonic())
        self._merge(note.key, due)

    async def _take_in_archived(self) -> None:
        """Read some rows that are to be told anew from the archive; raises LedgerError.

        One that neither state nor archive knows is not told again: its note goes.
        """
        rows, lost = await self._archived.take(PORTION)
        now = self._clock.monotonic()
        for key, tasks in rows.items():
            row = tasks[-1].metadata.table_row
            assert row is not None  # noqa: S101 - only tasks of a table come here
            is_archived = self._ledger.index.find_task(tasks[-1].task_id) is None
            due_of = Due.from_archive if is_archived else Due.again
            self._told.pop(key, None)
            self._merge(key, due_of(tasks, row.workflow_types, now))
        if lost:
            gone = [note.as_meta(stands=False) for note in lost]
            await self._ledger.commit(*gone, op="row.told", actor=self._handle.actor)

    def _merge(self, key: str, due: Due) -> None:
        """Add news to those that wait."""
        known = self._due.get(key)
        self._due[key] = due if known is None else known.with_news(due)

    def _put_back(self, rows: dict[str, Due]) -> None:
        since, self._due = self._due, rows  # what was older stays before
        for key, due in since.items():
            self._merge(key, due)

    async def _tell(self, rows: dict[str, Due]) -> float:
        """Upload, write and note; returns when the writing began."""
        refused: dict[str, Outcome] = {}
        if self._handle.table.takes_files:
            async with self._handle.uploading:
                refused = await self._uploads.put(rows)
        async with self._handle.writing:
            began = self._clock.monotonic()
            shown = await self._shown({k: due for k, due in rows.items() if k not in refused})
            changes = [
                Change(row=key, cells=each.cells, among=self._handle.original(each.tasks[0]).among)
                for key, each in shown.items()
                if each.cells != self._told.get(key)
            ]
            found = await self._handle.table.write(changes) if changes else ()
        failpoint.reach("publish.written")
        outcomes = {**dict.fromkeys(shown, _WRITTEN), **refused}
        outcomes |= {str(c.row): outcome for c, outcome in zip(changes, found, strict=True)}
        tasks = {key: each.tasks for key, each in shown.items()}
        known = {key: each for key, each in outcomes.items() if not rows[key].archived}
        for key in await self._uploads.give_up_unknown(tasks, known):
            self._merge(key, rows[key])
            del shown[key], outcomes[key]
        shown |= await self._shown({key: rows[key] for key in refused}, complete=False)
        await self._told_rows.note(shown, outcomes, 1 + self._failures)
        for key, each in shown.items():
            if any(task.stage in OPEN_STAGES for task in each.tasks):
                self._told[key] = each.cells
            else:
                self._told.pop(key, None)
        return began

    async def _shown(self, rows: dict[str, Due], *, complete: bool = True) -> dict[str, Shown]:
        """Return each row as it is shown now; a change from here on is news again.

        *complete*: a row with a task that ended since the uploads waits for the next round, lest
        the table be told of the end without its result.
        """
        shown: dict[str, Shown] = {}
        for number, (key, due) in enumerate(rows.items(), start=1):
            if number % _SLICE == 0:
                await asyncio.sleep(0)
            tasks = list(due.archived) or self._news.tasks(due.row_id, due.workflow_types)
            if complete and not due.archived and self._lacks_results(tasks):
                self._merge(key, due)
            elif tasks and not is_replaced(tasks):
                to_note = [self._ledger.task(task_id) for task_id in sorted(due.task_ids)]
                shown[key] = Shown(tasks, to_note, self._news.cells(tasks))
        return shown

    def _lacks_results(self, tasks: Sequence[Task]) -> bool:
        return self._handle.table.takes_files and bool(self._news.uploads(tasks))

    async def _postpone(self, error: Exception) -> None:
        self._failures += 1
        first, longest = BACKOFF_SECONDS
        seconds = min(first * 2.0 ** min(self._failures - 1, 16), longest)
        if isinstance(error, TableError):
            if isinstance(error, Misconfigured):
                seconds = max(seconds, MISCONFIGURED_SECONDS)
            seconds = error.retry_after_seconds or seconds
            await self._handle.note_writing(error)
        else:
            log.warning("table.not_told", table=self.name, error=str(error))
        self._not_before = self._clock.monotonic() + seconds * (1 + _JITTER * random.random())
