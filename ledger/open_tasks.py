"""Open tasks: by stage, by server, and the waiting ones in the order they are to run."""

from collections.abc import Iterator

from ledger.blocked import Blocked
from ledger.shelf import Shelf
from ledger.status import OPEN_STAGES, Stage
from ledger.task import Task
from ledger.waiting import Waiting


class OpenTasks:
    """Where each open task may be looked for; the shelf has its newest version."""

    def __init__(self, tasks: Shelf) -> None:
        self._tasks = tasks
        self._order: dict[str, int] = {}  # in which they came
        self._came = 0
        self._by_stage: dict[Stage, dict[str, None]] = {stage: {} for stage in OPEN_STAGES}
        self._by_server: dict[tuple[Stage, str], dict[str, None]] = {}
        self._waiting = Waiting()
        self.blocked = Blocked()

    def enter(self, task: Task) -> None:
        """Take in a task, or the next version of one that has left for it."""
        task_id = task.task_id
        if task_id not in self._order:
            self._came += 1
            self._order[task_id] = self._came
        self._by_stage[task.stage][task_id] = None
        if task.server is not None:
            self._by_server.setdefault((task.stage, task.server), {})[task_id] = None
        self.blocked.enter(task)
        if task.stage is Stage.WAITING:
            self._waiting.add(task, self._order[task_id])

    def leave(self, task: Task) -> None:
        """Let go of this version of a task; its place in the order is kept for the next."""
        del self._by_stage[task.stage][task.task_id]
        if task.server is not None:
            del self._by_server[task.stage, task.server][task.task_id]
        self.blocked.leave(task)
        if task.stage is Stage.WAITING:
            self._waiting.remove(task, self._order[task.task_id])

    def forget(self, task_id: str) -> None:
        """Take note that a task that has left does not come again."""
        self._order.pop(task_id, None)

    def in_stage(self, *stages: Stage, server: str | None = None) -> list[Task]:
        """Return the tasks in these open stages (on one server), oldest first."""
        found: list[str] = []
        for stage in stages:
            if stage not in OPEN_STAGES:
                raise ValueError(f"in_stage is for open stages, not {stage}")
            held = self._by_stage[stage]
            if server is not None:
                held = self._by_server.get((stage, server), {})
            found.extend(held)
        return [self._tasks[task_id] for task_id in sorted(found, key=self._order.__getitem__)]

    def each_in_stage(self, *stages: Stage) -> Iterator[Task]:
        """Yield the tasks in these stages, oldest first, also while some come and go.

        A look at each open task, whatever its stage: for those who want most of them.
        """
        for task_id in list(self._order):  # in the order in which they came
            task = self._tasks.open_task(task_id)
            if task is not None and task.stage in stages:
                yield task

    def waiting(self, batch_id: str, workflow_type: str) -> Iterator[Task]:
        """Yield a batch's waiting tasks of a type in their order, also while some come and go."""
        for task_id in self._waiting.ids(batch_id, workflow_type):
            yield self._tasks[task_id]

    def waiting_types(self, batch_id: str) -> list[str]:
        """Return the workflow types that have waiting tasks in the batch."""
        return self._waiting.types(batch_id)
