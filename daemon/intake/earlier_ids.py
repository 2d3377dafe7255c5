"""Archived ids that rows bore before the ones that are lost: the way from a run to the last one.

Of a row whose earlier run is archived only the later run tells (``TableRow.replaces``).
"""

from collections.abc import Container, Iterable, Sequence

from daemon.tables.cells import Row
from daemon.tables.outdated import Outdated
from ledger.ledger import Ledger
from ledger.task import Task


class EarlierIds:
    """Knows by earlier id the task whose id the row is to bear, as long as that is lost."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._latest: dict[str, Task] = {}  # of one row the nearest id first

    def keep(self, lost: Container[str]) -> None:
        """Forget what leads to ids that are not among the *lost* any more."""
        self._latest = {
            key: latest for key, latest in self._latest.items() if latest.task_id in lost
        }

    async def learn(self, lost: Iterable[Task]) -> None:
        """Take in which ids the rows of tasks bore before, back to their first run."""
        latest = {key: task for task in lost if (key := _replaced(task)) is not None}
        while latest := {key: each for key, each in latest.items() if key not in self._latest}:
            self._latest |= latest
            tasks = [self._ledger.index.find_task(key) for key in latest]
            unknown = {key for key, task in zip(latest, tasks, strict=True) if task is None}
            if unknown:
                tasks += (await self._ledger.find_all_archived(unknown)).tasks.values()
            latest = {
                key: latest[task.task_id]
                for task in tasks
                if task is not None and (key := _replaced(task)) is not None
            }

    def __contains__(self, task_id: str) -> bool:
        """Say whether a row that bears *task_id* is to bear a later id, which is lost."""
        return task_id in self._latest

    def outdated_among(self, rows: Sequence[Row]) -> list[Outdated]:
        """Return which of *rows*, with such ids, stand for a row; the others are copies.

        Of several that were one row the one with the latest id is returned.
        """
        bearing: dict[str, Row] = {}
        for row in rows:
            bearing.setdefault(row.text("task_id"), row)
        found: dict[str, Outdated] = {}
        for key, latest in self._latest.items():
            if key in bearing:
                outdated = Outdated(row=bearing[key], latest=latest)
                found.setdefault(latest.task_id, outdated)
        return list(found.values())


def _replaced(task: Task) -> str | None:
    row = task.metadata.table_row
    return row.replaces if row is not None else None
