"""Families: the tasks of one row and workflow type, a first one and its retries."""

from collections import Counter, defaultdict
from typing import Protocol

from ledger.shelf import Shelf
from ledger.status import OPEN_STAGES, Stage


class Member(Protocol):
    """What a task must tell of itself to be in a family."""

    @property
    def task_id(self) -> str: ...  # noqa: D102 - as in Task
    @property
    def batch_id(self) -> str: ...  # noqa: D102 - as in Task
    @property
    def workflow_type(self) -> str: ...  # noqa: D102 - as in Task
    @property
    def stage(self) -> Stage: ...  # noqa: D102 - as in Task
    @property
    def family(self) -> tuple[str, str]: ...  # noqa: D102 - as in Task
    @property
    def row_stage(self) -> int: ...  # noqa: D102 - as in Task


class Families:
    """Who belongs together, which one is open, and how families stand by their newest task."""

    def __init__(self, tasks: Shelf) -> None:
        self._tasks = tasks
        # By workflow type and row; mostly one: no tuple.
        self._members: dict[str, dict[str, str | tuple[str, ...]]] = {}
        self._open: dict[tuple[str, str], str] = {}
        self._counts: defaultdict[str, defaultdict[tuple[str, int], Counter[Stage]]]
        self._counts = defaultdict(lambda: defaultdict(Counter))
        self._totals: defaultdict[str, Counter[Stage]] = defaultdict(Counter)  # by workflow type
        self._failed: defaultdict[str, dict[tuple[str, str], None]]  # by batch, by newest task
        self._failed = defaultdict(dict)

    def join(self, task: Member) -> None:
        """Take in a new task: it is its family's newest from now on."""
        row_id, workflow_type = task.family
        rows = self._members.setdefault(workflow_type, {})
        before = None
        if members := self.members(task.family):
            before = self._tasks.stage_of(members[-1])
            rows[row_id] = (*members, task.task_id)
        else:
            rows[row_id] = task.task_id
        self._stands(task, before, task.stage)
        self._mark_open(task)

    def change(self, task: Member, before: Stage) -> None:
        """Take in a new version of a known task that stood in *before*."""
        if task.stage is before:
            return
        if self.members(task.family)[-1] == task.task_id:
            self._stands(task, before, task.stage)
        self._mark_open(task)

    def part(self, task: Member) -> None:
        """Forget a task that is archived; it and its family are still on the shelf."""
        row_id, workflow_type = task.family
        members = self.members(task.family)
        left = tuple(each for each in members if each != task.task_id)
        if self._open.get(task.family) == task.task_id:
            del self._open[task.family]
        if left:
            self._members[workflow_type][row_id] = left if len(left) > 1 else left[0]
        else:
            self._members[workflow_type].pop(row_id, None)
        if members[-1] == task.task_id:
            self._stands(task, task.stage, self._tasks.stage_of(left[-1]) if left else None)

    def forget_batch(self, batch_id: str) -> None:
        """Let go of the counts of a batch all of whose tasks have parted."""
        self._counts.pop(batch_id, None)
        self._failed.pop(batch_id, None)

    def members(self, family: tuple[str, str]) -> tuple[str, ...]:
        """Return the ids of the family's tasks, oldest first."""
        row_id, workflow_type = family
        held = self._members.get(workflow_type, {}).get(row_id, ())
        return (held,) if isinstance(held, str) else held

    def row(self, row_id: str) -> list[str]:
        """Return the ids of all tasks of the row, of whatever workflow type."""
        return [
            task_id
            for workflow_type in self._members
            for task_id in self.members((row_id, workflow_type))
        ]

    def open_task(self, family: tuple[str, str]) -> str | None:
        """Return the id of the family's open task, or None."""
        return self._open.get(family)

    def counts(self, batch_id: str | None = None) -> dict[str, dict[Stage, int]]:
        """Return, per workflow type, how many families (of one batch) stand in each stage."""
        types: dict[str, Counter[Stage]] = self._totals
        if batch_id is not None:
            types = {}
            for (name, _), count in self._counts.get(batch_id, {}).items():
                types.setdefault(name, Counter()).update(count)
        return {name: {stage: count[stage] for stage in Stage} for name, count in types.items()}

    def stage_counts(self, batch_id: str) -> dict[int, dict[Stage, int]]:
        """Return, for stage 1 and 2 of the rows, how many families stand in each stage."""
        stages: dict[int, Counter[Stage]] = {1: Counter(), 2: Counter()}
        for (_, row_stage), count in self._counts.get(batch_id, {}).items():
            stages[row_stage].update(count)
        return {
            number: {stage: count[stage] for stage in Stage} for number, count in stages.items()
        }

    def failed(self, batch_id: str) -> tuple[str, ...]:
        """Return the newest tasks of the families that failed, in the order of their failing."""
        return tuple(self.members(family)[-1] for family in self._failed.get(batch_id, ()))

    def _mark_open(self, task: Member) -> None:
        if task.stage in OPEN_STAGES:
            self._open[task.family] = task.task_id
        elif self._open.get(task.family) == task.task_id:
            del self._open[task.family]

    def _stands(self, task: Member, before: Stage | None, after: Stage | None) -> None:
        count = self._counts[task.batch_id][task.workflow_type, task.row_stage]
        total = self._totals[task.workflow_type]
        if before is not None:
            count[before] -= 1
            total[before] -= 1
        if after is not None:
            count[after] += 1
            total[after] += 1
        if after is Stage.FAILED:
            self._failed[task.batch_id][task.family] = None
        elif before is Stage.FAILED:
            self._failed[task.batch_id].pop(task.family, None)
