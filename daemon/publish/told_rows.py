"""What a table was told of its rows, written down in the ledger."""

from collections.abc import Mapping, Sequence

import msgspec
import structlog

from daemon import failpoint
from daemon.clock import Clock
from daemon.publish.row_news import RowNews, noted
from daemon.tables.cells import Outcome, Result, Value
from daemon.tables.handle import TableHandle
from daemon.tables.overwritten import overwritten_rows
from ledger.errors import Conflict
from ledger.ledger import Ledger
from ledger.task import Task
from ledger.timestamps import to_timestamp

log = structlog.get_logger()


class Shown(msgspec.Struct, frozen=True):
    """A row as its cells show it."""

    tasks: list[Task]  # the newest of each stage
    due: list[Task]  # those whose record says that the table must be told
    cells: dict[str, Value]


class ToldRows:
    """Notes of one table. A kill before a note leads to the same cells again."""

    def __init__(self, handle: TableHandle, ledger: Ledger, news: RowNews, clock: Clock) -> None:
        self._handle = handle
        self._ledger = ledger
        self._news = news
        self._clock = clock

    async def note(
        self, shown: Mapping[str, Shown], outcomes: Mapping[str, Outcome], attempts: int
    ) -> None:
        """Write down what the table knows now; a task that changed meanwhile is due again.

        *attempts*: how often it was tried. Raises LedgerError.
        """
        at = to_timestamp(self._clock.now())
        words = self._handle.words
        notes: list[Task] = []
        for key, outcome in outcomes.items():
            if outcome.result is not Result.WRITTEN:
                why = outcome.trouble and outcome.trouble.text(words)
                log.warning(
                    "table.row_not_told", table=self._handle.name, row=key, why=why or "gone"
                )
            for task in shown[key].due:
                note = noted(task, outcome, at=at, attempts=attempts, words=words)
                notes += [note] if note is not None else []
        await self._commit(notes)
        await self._forget(shown)
        failpoint.reach("publish.noted")

    async def _commit(self, notes: Sequence[Task]) -> None:
        if not notes:
            return
        try:
            await self._ledger.commit(*notes, op="task.published")
        except Conflict:
            for note in notes:
                try:
                    await self._ledger.commit(note, op="task.published")
                except Conflict:
                    log.debug("task.changed_meanwhile", task=note.task_id)

    async def _forget(self, shown: Mapping[str, Shown]) -> None:
        """Remove the notes of what these rows have been told now."""
        told = [
            note.as_meta(stands=False)
            for note in overwritten_rows(self._ledger, self._handle.name)
            if note.key in shown
        ]
        for each in shown.values():
            answer = self._news.answer(each.tasks)
            if answer is not None and self._news.is_over(each.tasks):
                told.append(answer.as_meta(stands=False))
        if told:
            await self._ledger.commit(*told, op="row.told", actor=self._handle.actor)
