"""Open tasks: by stage, by server, and the waiting ones in the order they are to run.

Nothing is asked of a version that was: what must be known to let it go lies here.
"""

import sys
from collections.abc import Iterator
from itertools import takewhile
from typing import TypeAlias

import msgspec

from ledger.rolls import Rolls
from ledger.shelf import Indexed, Shelf
from ledger.status import IN_PROCESS_STAGES, OPEN_STAGES, Stage
from ledger.task import Task
from ledger.waiting import Line, Wait, before_all, behind, joined, left, types


class _InProcess(msgspec.Struct, frozen=True, gc=False):
    order: int
    stage: Stage
    server: str | None


_Standing: TypeAlias = Wait | _InProcess


class OpenTasks:
    """Where each open task may be looked for; the shelf has its newest version."""

    def __init__(self, tasks: Shelf, rolls: Rolls) -> None:
        self._tasks = tasks
        self._rolls = rolls
        self._standings: dict[str, _Standing] = {}  # in the order in which they came
        self._came = 0
        self._by_stage: dict[Stage, dict[str, None]] = {stage: {} for stage in IN_PROCESS_STAGES}
        self._by_server: dict[tuple[Stage, str], dict[str, None]] = {}

    def __contains__(self, task_id: str) -> bool:
        return task_id in self._standings

    def stage_of(self, task_id: str) -> Stage | None:
        """Return the stage of an open task, None for any other."""
        standing = self._standings.get(task_id)
        if standing is None:
            return None
        return standing.stage if isinstance(standing, _InProcess) else Stage.WAITING

    def place(self, task: Indexed) -> None:
        """Take in a task, or its next version in place of the one before."""
        task_id, stage = task.task_id, task.stage
        before = self._standings.get(task_id)
        if before is None:
            self._came += 1
            order = self._came
        else:
            order = before.order
            self._leave(task, before)
        if stage is Stage.WAITING:
            self._standings[task_id] = self._wait(task, order)
            return
        self._standings[task_id] = _InProcess(order, stage, task.server)
        self._by_stage[stage][task_id] = None
        if task.server is not None:
            self._by_server.setdefault((stage, task.server), {})[task_id] = None

    def remove(self, task: Indexed) -> None:
        """Let go of a task, if it is here: it has ended, or goes with its row."""
        if (before := self._standings.pop(task.task_id, None)) is not None:
            self._leave(task, before)

    def _wait(self, task: Indexed, order: int) -> Wait:
        is_blocked = task.blocked_by is not None
        if is_blocked:
            self._rolls.count(task, blocked=1)
        kind = sys.intern(task.workflow_type)
        wait = Wait(kind, -task.priority, order, task.task_id, is_blocked)
        roll = self._rolls[task.batch_id]
        roll.line = joined(roll.line, wait)
        return wait

    def _leave(self, task: Indexed, before: _Standing) -> None:
        """Take *before*, where *task* or a version before it stands, out of its places."""
        if isinstance(before, _InProcess):
            del self._by_stage[before.stage][task.task_id]
            if before.server is not None:
                del self._by_server[before.stage, before.server][task.task_id]
            return
        roll = self._rolls[task.batch_id]
        roll.line = left(roll.line, before)
        if before.is_blocked:
            self._rolls.count(task, blocked=-1)

    def ids_in_stage(self, *stages: Stage, server: str | None = None) -> list[str]:
        """Return the ids of the tasks in these open stages (on one server), oldest first."""
        found: list[str] = []
        for stage in stages:
            if stage not in OPEN_STAGES:
                raise ValueError(f"in_stage is for open stages, not {stage}")
            if server is not None:
                found.extend(self._by_server.get((stage, server), ()))
            elif stage is Stage.WAITING:
                found.extend(each for each, at in self._standings.items() if isinstance(at, Wait))
            else:
                found.extend(self._by_stage[stage])
        if stages == (Stage.WAITING,):
            return found  # they lie in this order
        return sorted(found, key=lambda task_id: self._standings[task_id].order)

    def in_stage(self, *stages: Stage, server: str | None = None) -> list[Task]:
        """Return the tasks themselves likewise."""
        in_process, tasks = self._tasks.in_process, self._tasks
        ids = self.ids_in_stage(*stages, server=server)
        return [in_process(task_id) or tasks[task_id] for task_id in ids]

    def each_in_stage(self, *stages: Stage) -> Iterator[Task]:
        """Yield the tasks in these stages, oldest first, also while some come and go.

        A look at each open task, whatever its stage: for those who want most of them.
        """
        for task_id in list(self._standings):
            if self.stage_of(task_id) in stages:
                yield self._tasks[task_id]

    def line_up(self) -> Iterator[tuple[str, int]]:
        """Yield the waiting tasks with their priorities, oldest first; commits may happen.

        None of them is read.
        """
        for task_id in list(self._standings):
            if isinstance(standing := self._standings.get(task_id), Wait):
                yield task_id, -int(standing.urgency)

    @property
    def opened(self) -> int:
        """How many tasks came here so far, those that have gone among them."""
        return self._came

    def opened_after(self, count: int) -> Iterator[Task]:
        """Yield the tasks here that came after so many, also while some come and go."""
        standings = self._standings
        newest = takewhile(lambda each: standings[each].order > count, reversed(standings))
        for task_id in list(newest):
            if task_id in standings:
                yield self._tasks[task_id]

    def waiting(self, batch_id: str, workflow_type: str) -> Iterator[Task]:
        """Yield a batch's waiting tasks of a type in their order, also while some come and go."""
        last = before_all(workflow_type)
        while (wait := behind(self._line(batch_id), last)) is not None:
            if wait.workflow_type != workflow_type:
                return
            last = wait
            yield self._tasks[wait.task_id]

    def waiting_types(self, batch_id: str) -> list[str]:
        """Return the workflow types that have waiting tasks in the batch."""
        return list(types(self._line(batch_id)))

    def _line(self, batch_id: str) -> Line:
        return None if (roll := self._rolls.find(batch_id)) is None else roll.line
