"""Which finished rows are old enough for the archive, and what is found there; pure."""

from collections.abc import Iterator
from datetime import datetime, timedelta

import msgspec

from ledger.index import Index
from ledger.status import OPEN_STAGES
from ledger.task import Task
from ledger.timestamps import to_timestamp


class Archived(msgspec.Struct, frozen=True, gc=False):
    """What the archive gave of the tasks that were looked for."""

    tasks: dict[str, Task]  # by id
    damage: tuple[str, ...] = ()  # what could not be read, in words: some of them may lie there


def rows_to_archive(index: Index, now: datetime, older_than_days: float) -> Iterator[list[Task]]:
    """Yield, row by row, the tasks that may leave the state; an empty list for one that stays.

    A row goes when all its tasks finished before *now* - *older_than_days*, no open task depends
    on it, and a table has nothing left to be told about it. Commits may happen meanwhile.
    """
    limit = to_timestamp(now - timedelta(days=older_than_days))
    needed: set[str] = set()
    for open_task in index.each_in_stage(*OPEN_STAGES):
        if open_task.depends_on is not None:
            needed.add(open_task.depends_on.row_id)
        yield []
    for batch in index.batches():
        for task_id in index.task_ids(batch.batch_id):
            task = index.find_task(task_id)
            if task is None or not _is_settled(task, limit) or task.row_id in needed:
                yield []
                continue
            row = [index.task(each) for each in index.row(task.row_id)]
            yield row if all(_is_settled(each, limit) for each in row) else []


def _is_settled(task: Task, limit: str) -> bool:
    return task.publish.is_settled and task.finished_at is not None and task.finished_at < limit
