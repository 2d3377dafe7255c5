"""What an older copy, saved over a table, took from its rows is given back to them.

A row that lost its 任务ID gets it again and a row that says less than it was told is noted, so that
the outbox tells it anew; neither runs again. A kill between the two leaves a row with an id that
says less than it was told, which the next look finds. Of one whose tasks are archived no look finds
that, so it is noted first: a kill then leaves a note by which the next start looks for the row (see
``TableRows.expect_taken``). For one with an earlier id see ``outdated``.
"""

from collections.abc import Iterable, Sequence

import structlog

from daemon import failpoint
from daemon.intake.table_rows import TableRows
from daemon.intake.wants import Wants
from daemon.tables.cells import Change, Result, Row
from daemon.tables.handle import TableHandle
from daemon.tables.outdated import renew
from daemon.tables.overwritten import Overwritten
from ledger.ledger import Ledger
from ledger.task import Task

log = structlog.get_logger()


class Restoration:
    """Restores rows of one table."""

    def __init__(self, handle: TableHandle, rows: TableRows, ledger: Ledger) -> None:
        self._handle = handle
        self._rows = rows
        self._ledger = ledger

    async def restore(self, wants: Wants) -> None:
        """Give back what *wants* misses; raises TableError, LedgerError."""
        again = await self._mark(wants.robbed)
        overwritten = [*again, *(task for _, task in wants.overwritten)]
        await self._note((_key_of(task), task.task_id) for task in overwritten)
        if wants.outdated:
            async with self._handle.writing:
                renewed = await renew(wants.outdated, self._handle, self._ledger)
            log.warning("table.ids_restored", table=self._handle.name, rows=renewed)

    async def _mark(self, robbed: Sequence[tuple[Row, str]]) -> list[Task]:
        """Write the ids into their rows; returns the tasks of those that bear them now.

        Archived ones are not among them, but noted: the outbox tells them once this write is over.
        A note whose row changed meanwhile, and got no id, goes when the outbox finds no such row.
        """
        if not robbed:
            return []
        index = self._ledger.index
        archived = [task_id for _, task_id in robbed if index.find_task(task_id) is None]
        changes = [Change(row=row, cells={"task_id": task_id}) for row, task_id in robbed]
        async with self._handle.writing:
            await self._note((task_id, task_id) for task_id in archived)
            failpoint.reach("restore.noted")
            outcomes = await self._handle.table.write(changes)
        failpoint.reach("restore.marked")
        again = [
            task_id
            for (_, task_id), outcome in zip(robbed, outcomes, strict=True)
            if outcome.result is Result.WRITTEN
        ]
        log.warning("table.ids_restored", table=self._handle.name, rows=len(again))
        for task_id in again:
            self._rows.lost.expect(task_id)
        tasks = map(index.find_task, again)
        return [task for task in tasks if task is not None]

    async def _note(self, rows: Iterable[tuple[str, str]]) -> None:
        """Note rows, each by its key with a task of it."""
        notes = [
            Overwritten(table=self._handle.name, key=key, task_id=task_id) for key, task_id in rows
        ]
        if notes:
            await self._ledger.commit(
                *(note.as_meta() for note in notes),
                op="row.overwritten",
                actor=self._handle.actor,
            )


def _key_of(task: Task) -> str:
    row = task.metadata.table_row
    assert row is not None  # noqa: S101 - only tasks of a table come here
    return row.key
