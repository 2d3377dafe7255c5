"""Rows that a server was found unable to run: by whom, and why."""

from collections.abc import Iterator

import msgspec

from daemon.dispatch.place import NOBODY
from ledger.task import Task


class Unfit(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Why a task cannot run where it was tried; told anew, it is another one."""

    batch_id: str
    kind: str  # failure class
    reason: str


class UnfitRows:
    """What was found out about tasks that still have to run."""

    def __init__(self) -> None:
        self._excluded: dict[str, frozenset[str]] = {}
        self._reasons: dict[str, Unfit] = {}  # why the excluding servers cannot run a task

    def __iter__(self) -> Iterator[str]:
        return iter(self._reasons)

    def __getitem__(self, task_id: str) -> Unfit:
        return self._reasons[task_id]

    def excluded(self, task_id: str) -> frozenset[str]:
        """Return the servers that cannot run the task."""
        return self._excluded.get(task_id, NOBODY)

    def note(self, task: Task, server: str, kind: str, reason: str) -> None:
        """Know that *server* cannot run the task, and why."""
        self._excluded[task.task_id] = self.excluded(task.task_id) | {server}
        self._reasons[task.task_id] = Unfit(batch_id=task.batch_id, kind=kind, reason=reason)

    def forgive(self, server: str) -> Iterator[str]:
        """Forget, step by step, what *server* could not run; yield the tasks."""
        for task_id in list(self._excluded):
            excluded = self.excluded(task_id)  # nobody: it has ended meanwhile
            if server in excluded:
                self._excluded[task_id] = excluded - {server}
                yield task_id

    def forget(self, task_id: str) -> None:
        """Forget a task that has ended."""
        self._excluded.pop(task_id, None)
        self._reasons.pop(task_id, None)
