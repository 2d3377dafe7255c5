"""Rows that are to be told anew although the tasks that tell of them are archived."""

from collections.abc import Collection, Iterable, Mapping
from itertools import islice

import structlog

from daemon.tables.overwritten import Overwritten
from daemon.tables.runs import row_ids_of
from ledger.ledger import Ledger
from ledger.task import Task

log = structlog.get_logger()


class ArchivedRows:
    """Reads them from the archive, some at a time; what waits here is only noted, not read."""

    def __init__(self, ledger: Ledger, table: str) -> None:
        self._ledger = ledger
        self._table = table
        self._waiting: dict[str, Overwritten] = {}

    def __bool__(self) -> bool:
        """Say whether any waits to be read."""
        return bool(self._waiting)

    def add(self, note: Overwritten) -> None:
        """Have the row of *note*, whose task is not in the state, read in its turn."""
        self._waiting[note.key] = note

    async def take(self, most: int) -> tuple[dict[str, list[Task]], list[Overwritten]]:
        """Return the newest task of each stage of the next rows, by key, and what leads nowhere.

        A later run of a row, not archived itself, counts. A row that damage keeps from being read
        is in neither: its note stays for the next start.
        """
        notes = dict(islice(self._waiting.items(), most))
        found = await self._ledger.find_all_archived({note.task_id for note in notes.values()})
        firsts = {key: found.tasks.get(note.task_id) for key, note in notes.items()}
        runs = {
            key: list(row_ids_of(self._ledger.index, first))
            for key, first in firsts.items()
            if first is not None
        }
        wanted = {row_id for row_ids in runs.values() for row_id in row_ids}
        rows = await self._ledger.find_all_archived((), wanted)
        by_row = _by_row(rows.tasks.values())
        tasks = {key: self._newest(ids, by_row) for key, ids in runs.items()}
        for key in notes:
            del self._waiting[key]
        damage = (*found.damage, *rows.damage)
        if damage:
            log.warning("table.rows_not_told", table=self._table, why=list(damage))
        lost = [note for key, note in notes.items() if not tasks.get(key)]
        return {key: own for key, own in tasks.items() if own}, [] if damage else lost

    def _newest(self, row_ids: Collection[str], archived: Mapping[str, list[Task]]) -> list[Task]:
        """Return the newest task of each stage of the last run that has any."""
        for row_id in reversed([*row_ids]):
            index = self._ledger.index
            tasks = [index.task(each) for each in index.row(row_id)] or archived.get(row_id, [])
            row = tasks[0].metadata.table_row if tasks else None
            if row is not None:
                newest = {task.workflow_type: task for task in sorted(tasks, key=_made)}
                return [newest[name] for name in row.workflow_types if name in newest]
        return []


def _by_row(tasks: Iterable[Task]) -> dict[str, list[Task]]:
    rows: dict[str, list[Task]] = {}
    for task in tasks:
        rows.setdefault(task.row_id, []).append(task)
    return rows


def _made(task: Task) -> tuple[str, int]:
    return task.created_at, task.retry_number
