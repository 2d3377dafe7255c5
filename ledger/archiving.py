"""Which finished rows are old enough for the archive, and what is found there; pure."""

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta

import msgspec

from ledger.index import Index
from ledger.task import Task
from ledger.timestamps import to_timestamp


class Archived(msgspec.Struct, frozen=True, gc=False):
    """What the archive gave of the tasks that were looked for."""

    tasks: dict[str, Task]  # by id
    damage: tuple[str, ...] = ()  # what could not be read, in words: some of them may lie there


def oldest_first(tasks: Iterable[Task]) -> list[Task]:
    """Return tasks of one row in the order in which they came to be."""
    return sorted(tasks, key=lambda task: (task.created_at, task.retry_number))


class Needed:
    """The rows that open tasks depend on, as of the last look."""

    def __init__(self, index: Index) -> None:
        self._index = index
        self._opened = 0  # tasks seen, of all that were ever opened
        self._rows: set[str] = set()

    def __contains__(self, row_id: str) -> bool:
        return row_id in self._rows

    def look(self) -> Iterator[None]:
        """Take in, step by step, the tasks that were opened since the last look."""
        seen, self._opened = self._opened, self._index.opened
        for task in self._index.opened_after(seen):
            if task.depends_on is not None:
                self._rows.add(task.depends_on.row_id)
            yield


def rows_to_archive(
    index: Index, needed: Needed, now: datetime, older_than_days: float
) -> Iterator[list[Task]]:
    """Yield, row by row, the tasks that may leave the state; an empty list for one that stays.

    A row goes when all its tasks finished before *now* - *older_than_days*, no open task depends
    on it, and a table has nothing left to be told about it. Commits may happen meanwhile.
    """
    limit = to_timestamp(now - timedelta(days=older_than_days))
    yield from ([] for _ in needed.look())
    for batch_id in index.batch_ids():
        for task_id in index.task_ids(batch_id):
            task = index.find_task(task_id)
            if task is None or not _is_settled(task, limit) or task.row_id in needed:
                yield []
                continue
            row = [index.task(each) for each in index.row(task.row_id)]
            yield row if all(_is_settled(each, limit) for each in row) else []


def _is_settled(task: Task, limit: str) -> bool:
    return task.publish.is_settled and task.finished_at is not None and task.finished_at < limit


def still_going(
    index: Index, needed: Needed, changing: Container[str], rows: Mapping[str, Sequence[Task]]
) -> list[Task]:
    """Return the tasks of those *rows*, given by their ids, that may still leave.

    That is, which nobody has come to need since ``rows_to_archive`` gave them, and nobody changed;
    *changing* are rows of which a change may be under way.
    """
    for _ in needed.look():
        pass
    return [
        task
        for row_id, row in rows.items()
        if row_id not in needed and row_id not in changing and _is_as_it_was(index, row_id, row)
        for task in row
    ]


def _is_as_it_was(index: Index, row_id: str, row: Sequence[Task]) -> bool:
    return index.row(row_id) == [task.task_id for task in row] and all(
        index.task(task.task_id).version == task.version for task in row
    )
