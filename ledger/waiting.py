"""Waiting tasks in the order they are to run: highest priority first, then as accepted."""

from collections.abc import Iterator

from sortedcontainers import SortedList

from ledger.task import Task


class Waiting:
    """Ids of waiting tasks, by batch and workflow type; each has its place in the acceptance."""

    def __init__(self) -> None:
        self._types: dict[str, dict[str, SortedList]] = {}

    def add(self, task: Task, order: int) -> None:
        """Take in a task that was accepted as the *order*-th."""
        types = self._types.setdefault(task.batch_id, {})
        if task.workflow_type not in types:
            types[task.workflow_type] = SortedList()
        types[task.workflow_type].add((-task.priority, order, task.task_id))

    def remove(self, task: Task, order: int) -> None:
        """Let go of a task, given as it was added."""
        types = self._types[task.batch_id]
        waiting = types[task.workflow_type]
        waiting.remove((-task.priority, order, task.task_id))
        if not waiting:
            del types[task.workflow_type]
        if not types:
            del self._types[task.batch_id]

    def ids(self, batch_id: str, workflow_type: str) -> Iterator[str]:
        """Yield a batch's tasks of a type in their order, also while some come and go."""
        last: tuple[int | float, int, str] = (float("-inf"), 0, "")
        while True:
            waiting = self._types.get(batch_id, {}).get(workflow_type)
            if waiting is None or (place := waiting.bisect_right(last)) >= len(waiting):
                return
            last = waiting[place]
            yield last[2]

    def types(self, batch_id: str) -> list[str]:
        """Return the workflow types that have waiting tasks in the batch."""
        return list(self._types.get(batch_id, {}))
