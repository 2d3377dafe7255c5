"""Which finished rows are old enough for the archive; pure."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from ledger.index import Index
from ledger.status import OPEN_STAGES
from ledger.task import Task
from ledger.timestamps import to_timestamp


def rows_to_archive(
    index: Index, now: datetime, older_than_days: float, *, at_most: int
) -> Iterator[list[Task]]:
    """Yield lists of about *at_most* tasks that may leave the state, whole rows only.

    A row goes when all its tasks finished before *now* - *older_than_days*, no open task depends
    on it, and a table has nothing left to be told about it.
    """
    limit = to_timestamp(now - timedelta(days=older_than_days))
    needed = {
        task.depends_on.row_id
        for task in index.in_stage(*OPEN_STAGES)
        if task.depends_on is not None
    }
    for batch in index.batches():
        rows: dict[str, list[Task]] = {}
        for task in index.tasks(batch.batch_id):
            rows.setdefault(task.row_id, []).append(task)
        leaving: list[Task] = []
        for row_id, tasks in rows.items():
            if row_id not in needed and all(_is_settled(task, limit) for task in tasks):
                leaving.extend(tasks)
            if len(leaving) >= at_most:
                yield leaving
                leaving = []
        if leaving:
            yield leaving


def _is_settled(task: Task, limit: str) -> bool:
    return task.publish.is_settled and task.finished_at is not None and task.finished_at < limit
