"""Families: the tasks of one row and workflow type, a first one and its retries.

Where there are very many batches, most have one row, and that one task. Such a family has no entry
here: the batch's roll tells of it.
"""

import sys

from ledger.rolls import ONE, Roll, Rolls, told_apart
from ledger.shelf import Indexed, Shelf
from ledger.status import Stage


class Families:
    """Who belongs together, and how families stand by their newest task."""

    def __init__(self, tasks: Shelf, rolls: Rolls) -> None:
        self._tasks = tasks
        self._rolls = rolls
        # By workflow type and row; mostly one: no tuple.
        self._members: dict[str, dict[str, str | tuple[str, ...]]] = {}
        self._totals: dict[str, int] = {}  # by workflow type, packed
        # By batch, the newest tasks of families that failed, in the order of their failing.
        self._failed: dict[str, dict[tuple[str, str], str]] = {}

    def join(self, task: Indexed, roll: Roll) -> int:
        """Take in a new task, its family's newest from now on; return what that adds, packed.

        *roll*: its batch's, which has it already.
        """
        row_id, workflow_type = task.row_id, task.workflow_type
        rows, before = self._members.setdefault(workflow_type, {}), None
        if isinstance(roll.ids, str) and row_id == roll.first_row:
            roll.lone_type = sys.intern(workflow_type)
            return self._stands(task, None, task.stage)
        if roll.lone_type is not None:  # it is alone no longer
            self._members[roll.lone_type][roll.first_row] = next(iter(roll))
            roll.lone_type = None
        if (held := rows.get(row_id)) is None:
            rows[row_id] = task.task_id
        else:
            members = (held,) if isinstance(held, str) else held
            before = self._tasks.stage_of(members[-1])
            rows[row_id] = (*members, task.task_id)
        return self._stands(task, before, task.stage)

    def change(self, task: Indexed, before: Stage) -> int:
        """Take in a new version of a known task that stood in *before*; likewise."""
        held = self._members[task.workflow_type].get(task.row_id)  # None: it is alone in its batch
        if held is not None and task.task_id != (held if isinstance(held, str) else held[-1]):
            return 0
        return self._stands(task, before, task.stage)

    def part(self, task: Indexed) -> int:
        """Forget a task that is archived; it and its family are still on the shelf; likewise."""
        row_id, workflow_type = task.family
        members = self.members(task.family)
        left = tuple(each for each in members if each != task.task_id)
        if left:
            self._members[workflow_type][row_id] = left if len(left) > 1 else left[0]
        else:
            self._members[workflow_type].pop(row_id, None)  # unless it was alone in its batch
        if members[-1] != task.task_id:
            return 0
        return self._stands(task, task.stage, self._tasks.stage_of(left[-1]) if left else None)

    def forget_batch(self, batch_id: str) -> None:
        """Let go of what is kept of a batch all of whose tasks have parted."""
        self._failed.pop(batch_id, None)

    def members(self, family: tuple[str, str]) -> tuple[str, ...]:
        """Return the ids of the family's tasks, oldest first."""
        row_id, workflow_type = family
        held = self._members.get(workflow_type, {}).get(row_id)
        if held is None:
            return self._alone(row_id, workflow_type)
        return (held,) if isinstance(held, str) else held

    def _alone(self, row_id: str, workflow_type: str) -> tuple[str, ...]:
        roll = self._rolls.find(row_id.rpartition(":")[0])
        if roll is None or roll.lone_type != workflow_type or row_id != roll.first_row:
            return ()
        return tuple(roll)

    def newest(self, family: tuple[str, str]) -> str | None:
        """Return the id of the family's newest task, or None: only this one may be open."""
        return members[-1] if (members := self.members(family)) else None

    def row(self, row_id: str, *, besides: str | None = None) -> list[str]:
        """Return the ids of all tasks of the row, but for those of the workflow type *besides*."""
        return [
            task_id
            for workflow_type in self._members
            if workflow_type != besides
            for task_id in self.members((row_id, workflow_type))
        ]

    def totals(self) -> dict[str, dict[Stage, int]]:
        """Return, per workflow type, how many families of all batches stand in each stage."""
        return {name: told_apart(packed) for name, packed in self._totals.items()}

    def failed(self, batch_id: str) -> tuple[str, ...]:
        """Return the newest tasks of the families that failed, in the order of their failing."""
        return tuple(self._failed.get(batch_id, {}).values())

    def count(self, workflow_type: str, families: int) -> None:
        """Count so many more, packed, of a workflow type: what a change here added."""
        self._totals[workflow_type] = self._totals.get(workflow_type, 0) + families

    def _stands(self, task: Indexed, before: Stage | None, after: Stage | None) -> int:
        step = (ONE[after] if after else 0) - (ONE[before] if before else 0)
        if after is Stage.FAILED:
            family = task.family
            self._failed.setdefault(task.batch_id, {})[family] = self.members(family)[-1]
        elif before is Stage.FAILED:
            self._failed.get(task.batch_id, {}).pop(task.family, None)
        return step
