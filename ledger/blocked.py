"""Waiting tasks that a failed family blocks, counted; never by looking at them."""

from collections import Counter

from ledger.status import Stage
from ledger.task import Task


class Blocked:
    """How many there are of each workflow type and stage of the row, batch by batch."""

    def __init__(self) -> None:
        self._counts: dict[str, Counter[tuple[str, int]]] = {}

    def enter(self, task: Task) -> None:
        """Count the task if it waits and is blocked."""
        self._count(task, 1)

    def leave(self, task: Task) -> None:
        """Take back what ``enter`` counted for this version of the task."""
        self._count(task, -1)

    def by_type(self, batch_id: str) -> dict[str, int]:
        """Return how many of each workflow type are blocked in the batch."""
        types: Counter[str] = Counter()
        for (workflow_type, _), count in self._counts.get(batch_id, {}).items():
            types[workflow_type] += count
        return dict(types)

    def by_row_stage(self, batch_id: str) -> dict[int, int]:
        """Return how many are blocked in the batch, for stage 1 and 2 of the rows."""
        stages = {1: 0, 2: 0}
        for (_, row_stage), count in self._counts.get(batch_id, {}).items():
            stages[row_stage] += count
        return stages

    def _count(self, task: Task, step: int) -> None:
        if task.stage is Stage.WAITING and task.blocked_by is not None:
            counts = self._counts.setdefault(task.batch_id, Counter())
            counts[task.workflow_type, task.row_stage] += step
