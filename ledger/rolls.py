"""What is known of a batch without a look at its tasks: their ids, and how many stand where.

A batch may well have a single row, and there may be as many batches as rows. So all of it lies in
one small record, which the garbage collector need not know: it is never part of a cycle.
"""

import sys
from collections.abc import Callable, Container, Iterator, Mapping
from contextlib import contextmanager

import msgspec

from ledger.shelf import Indexed
from ledger.status import Stage
from ledger.waiting import Line

#: Counts of all stages are one whole number, so many bits a stage. The one of waiting tasks stands
#: lowest: as long as they all wait the number is a small one.
_BITS = 32
_MASK = (1 << _BITS) - 1
#: What adds one to the count of a stage.
ONE: Mapping[Stage, int] = {stage: 1 << _BITS * place for place, stage in enumerate(Stage)}


def told_apart(packed: int) -> dict[Stage, int]:
    """Return the counts that *packed* holds, by stage."""
    return {stage: packed >> _BITS * place & _MASK for place, stage in enumerate(Stage)}


class Tally(msgspec.Struct, frozen=True, gc=False):
    """How a batch's tasks of one workflow type and stage of the row stand."""

    workflow_type: str
    row_stage: int
    tasks: int = 0  # packed
    families: int = 0  # packed; each counts where its newest task stands
    blocked: int = 0  # of the waiting tasks

    def plus(self, tasks: int, families: int, blocked: int) -> "Tally":
        """Return the tally with so many more."""
        return Tally(
            self.workflow_type,
            self.row_stage,
            self.tasks + tasks,
            self.families + families,
            self.blocked + blocked,
        )


#: So many tasks a batch has at most that shares its tallies with others that stand alike.
_FEW_TASKS = 8
#: So many ways to count are kept apart while tasks are counted together.
_ALIKE_AT_ONCE = 256
#: So many ways in which such batches stand are shared.
_WAYS_TO_STAND = 1024


class Roll(msgspec.Struct, gc=False):
    """A batch: its tasks in the order of their acceptance, and how they stand."""

    batch_id: str  # the same text as the roll is found by
    ids: str | list[str]  # of one task, or of many
    archived: int = 0  # of the ids there
    tallies: tuple[Tally, ...] = ()
    line: Line = None  # of those that wait
    lone_type: str | None = None  # of the one task it has; set while that is of its first row

    @property
    def first_row(self) -> str:
        """The row that most batches have alone, if they are of a job file."""
        return f"{self.batch_id}:1"

    def __iter__(self) -> Iterator[str]:
        return iter((self.ids,) if isinstance(self.ids, str) else self.ids)

    def __len__(self) -> int:
        return 1 if isinstance(self.ids, str) else len(self.ids)

    def count(self, task: Indexed, tasks: int, families: int, blocked: int) -> None:
        """Count so many more of those that *task* is one of."""
        workflow_type, row_stage, tallies = task.workflow_type, task.row_stage, self.tallies
        for place, tally in enumerate(tallies):
            if tally.row_stage == row_stage and tally.workflow_type == workflow_type:
                counted = tally.plus(tasks, families, blocked)
                self.tallies = (*tallies[:place], counted, *tallies[place + 1 :])
                return
        self.tallies += (Tally(sys.intern(workflow_type), row_stage, tasks, families, blocked),)


class Counts:
    """Counts tasks as they come, or those that count alike together."""

    def __init__(self, count: Callable[[Indexed, int, int], None]) -> None:
        """*count*: counts so many tasks and families more, packed, where a task counts."""
        self._count = count
        self.add = count
        self._outstanding: dict[tuple[str, str, int], list[int]] = {}
        self._one_of: dict[tuple[str, str, int], Indexed] = {}

    @contextmanager
    def together(self) -> Iterator[None]:
        """Count what is added within together: until the end some of it is outstanding."""
        self.add = self._collect
        try:
            yield
        finally:
            self.add = self._count
            self.settle()

    def _collect(self, task: Indexed, tasks: int, families: int) -> None:
        alike = task.batch_id, task.workflow_type, task.row_stage
        if (outstanding := self._outstanding.get(alike)) is not None:
            outstanding[0] += tasks
            outstanding[1] += families
            return
        if len(self._outstanding) >= _ALIKE_AT_ONCE:
            self.settle()
        self._count(task, tasks, families)  # at once, so that types keep the order of their coming
        self._outstanding[alike], self._one_of[alike] = [0, 0], task

    def settle(self) -> None:
        """Count all that is outstanding."""
        for alike, (tasks, families) in self._outstanding.items():
            if tasks or families:
                self._count(self._one_of[alike], tasks, families)
        self._outstanding.clear()
        self._one_of.clear()


class Rolls:
    """The rolls of all batches that have tasks in the state."""

    def __init__(self, present: Container[str]) -> None:
        self._present = present
        self._rolls: dict[str, Roll] = {}
        self._alike: dict[tuple[Tally, ...], tuple[Tally, ...]] = {}  # those shared, by themselves

    def __getitem__(self, batch_id: str) -> Roll:
        """Return the roll of a batch that has tasks; raises KeyError."""
        return self._rolls[batch_id]

    def find(self, batch_id: str) -> Roll | None:
        """Return the roll of a batch, None of one without tasks."""
        return self._rolls.get(batch_id)

    def accept(self, batch_id: str, task_id: str) -> Roll:
        """Take in a new task, and return its batch's roll."""
        if (roll := self._rolls.get(batch_id)) is None:
            roll = self._rolls[batch_id] = Roll(batch_id, task_id)
        elif isinstance(roll.ids, str):
            roll.ids = [roll.ids, task_id]
        else:
            roll.ids.append(task_id)
        return roll

    def forget(self, batch_id: str) -> bool:
        """Take note that a task of the batch will be present no more; say whether others are.

        Its id stays until somebody asks for those of the batch, or the last one goes.
        """
        roll = self._rolls[batch_id]
        roll.archived += 1
        if roll.archived < len(roll):
            return True
        del self._rolls[batch_id]
        return False

    def ids(self, batch_id: str) -> list[str]:
        """Return the ids of the batch's tasks that are present, oldest first."""
        if (roll := self._rolls.get(batch_id)) is None:
            return []
        if roll.archived:
            roll.ids, roll.archived = [each for each in roll if each in self._present], 0
        return list(roll)

    def count(self, task: Indexed, *, tasks: int = 0, families: int = 0, blocked: int = 0) -> None:
        """Count so many more, packed, where a task that was accepted counts."""
        roll = self._rolls[task.batch_id]
        roll.count(task, tasks, families, blocked)
        if len(roll) <= _FEW_TASKS:
            if len(self._alike) >= _WAYS_TO_STAND:
                self._alike.clear()
            roll.tallies = self._alike.setdefault(roll.tallies, roll.tallies)

    def kept_ids(self, task: Indexed) -> tuple[str, str]:
        """Return the ids of a task and its batch as the texts that are kept here.

        Whoever holds them for long holds no others: a text may take as much as all else that is
        known of a row.
        """
        if (roll := self._rolls.get(task.batch_id)) is None:
            return task.task_id, task.batch_id
        if isinstance(roll.ids, str) and roll.ids == task.task_id:
            return roll.ids, roll.batch_id
        return task.task_id, roll.batch_id

    def kept_batch_id(self, batch_id: str) -> str:
        """Return the id of a batch likewise."""
        return batch_id if (roll := self._rolls.get(batch_id)) is None else roll.batch_id

    def in_line(self) -> list[str]:
        """Return the batches of which a task waits."""
        return [batch_id for batch_id, roll in self._rolls.items() if roll.line is not None]

    def tallies(self, batch_id: str) -> tuple[Tally, ...]:
        """Return the tallies of a batch; none of one without tasks."""
        return () if (roll := self._rolls.get(batch_id)) is None else roll.tallies

    def counts(self, batch_id: str) -> dict[Stage, int]:
        """Return how many of the batch's tasks stand in each stage."""
        return told_apart(sum(tally.tasks for tally in self.tallies(batch_id)))

    def family_counts(self, batch_id: str) -> dict[str, dict[Stage, int]]:
        """Return, per workflow type, how many of the batch's families stand in each stage."""
        types: dict[str, int] = {}
        for tally in self.tallies(batch_id):
            types[tally.workflow_type] = types.get(tally.workflow_type, 0) + tally.families
        return {name: told_apart(packed) for name, packed in types.items()}

    def stage_counts(self, batch_id: str) -> dict[int, dict[Stage, int]]:
        """Return, for stage 1 and 2 of the rows, how many families stand in each stage."""
        stages = {1: 0, 2: 0}
        for tally in self.tallies(batch_id):
            stages[tally.row_stage] += tally.families
        return {row_stage: told_apart(packed) for row_stage, packed in stages.items()}

    def blocked_by_type(self, batch_id: str) -> dict[str, int]:
        """Return how many waiting tasks of each workflow type are blocked in the batch."""
        types: dict[str, int] = {}
        for tally in self.tallies(batch_id):
            types[tally.workflow_type] = types.get(tally.workflow_type, 0) + tally.blocked
        return types

    def blocked_by_row_stage(self, batch_id: str) -> dict[int, int]:
        """Return how many are blocked in the batch, for stage 1 and 2 of the rows."""
        stages = {1: 0, 2: 0}
        for tally in self.tallies(batch_id):
            stages[tally.row_stage] += tally.blocked
        return stages
