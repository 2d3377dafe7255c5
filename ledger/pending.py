"""Changes that were checked but are not yet durable; the next check must know them.

Of a task that goes on in its place the newest version stays here also when it is durable, until the
task moves: who changes it next, and most are changed again, finds it at once.
"""

from typing import Protocol, TypeAlias

from ledger.batch import Batch
from ledger.entry import Record, as_json
from ledger.errors import Conflict, IllegalMove
from ledger.status import IN_PROCESS_STAGES, MOVES, OPEN_STAGES, STATUS_OF, Stage
from ledger.task import Task

Family: TypeAlias = tuple[str, str]
#: The task that is open in a family from then on, and the newest record that opened or closed one.
Opening: TypeAlias = tuple[str | None, Task]


class Known(Protocol):
    """What a check asks: the newest version of each record, and what is open in a family."""

    def find_task(self, task_id: str) -> Task | None:
        """Return the task or None."""
        ...

    def find_batch(self, batch_id: str) -> Batch | None:
        """Return the batch or None."""
        ...

    def open_of_family(self, family: Family) -> str | None:
        """Return the id of the family's open task, or None."""
        ...


class Overlay:
    """Checked records, seen in place of those below them."""

    __slots__ = ("_below", "batches", "leaving", "open", "tasks")

    def __init__(self, below: Known, leaving: set[str]) -> None:
        self._below = below
        self.leaving = leaving  # rows that are gone as soon as it is on disk
        self.tasks: dict[str, Task] = {}
        self.batches: dict[str, Batch] = {}
        self.open: dict[Family, Opening] = {}

    def add_task(self, task: Task) -> bool:
        """Check *task* against all before it, and count it in.

        Returns whether it goes on where the version before stands: in process, in the same stage
        and on the same server, and no table is to be told. Raises, with nothing changed: Conflict,
        IllegalMove.
        """
        task_id = task.task_id
        if self.leaving and not self.leaving.isdisjoint(_rows_of(task)):
            raise Conflict(f"task {task_id}: its row, or one that it needs, goes to the archive")
        known = self.tasks.get(task_id) or self._below.find_task(task_id)
        if task.version != (1 if known is None else known.version + 1):
            raise _does_not_follow(task_id, task, known)
        goes_on = False
        if known is None:
            self._move(task, None)
        elif not (
            task.row_id == known.row_id
            and task.workflow_type == known.workflow_type
            and task.batch_id == known.batch_id
        ):
            raise Conflict(f"task {task_id} belongs to another row, type or batch")
        elif task.stage is not known.stage or task.status is not known.status:
            self._move(task, known.stage)
        else:
            goes_on = (
                task.stage in IN_PROCESS_STAGES
                and task.server == known.server
                and task.metadata.table_row is None
            )
        self.tasks[task_id] = task
        return goes_on

    def _move(self, task: Task, before: Stage | None) -> None:
        """Check a move of *task*, and count in what it means for its family."""
        stage = task.stage
        if task.status is not STATUS_OF[stage]:
            raise IllegalMove(task.task_id, f"status {task.status}", f"stage {stage}")
        if before is not None and stage is not before and stage not in MOVES[before]:
            raise IllegalMove(task.task_id, before, stage)
        if (stage in OPEN_STAGES) is not (before in OPEN_STAGES):
            self._open_or_close(task)

    def add_batch(self, batch: Batch) -> None:
        """Check and count in a batch; raises Conflict, with nothing changed."""
        batch_id = batch.batch_id
        known = self.find_batch(batch_id)
        if batch.version != (1 if known is None else known.version + 1):
            raise _does_not_follow(batch_id, batch, known)
        self.batches[batch_id] = batch

    def _open_or_close(self, task: Task) -> None:
        family = task.family
        other = self.open_of_family(family)
        if task.stage in OPEN_STAGES:
            if other not in (None, task.task_id):
                raise Conflict(f"task {task.task_id}: {other} of the same row and type is open")
            self.open[family] = (task.task_id, task)
        elif other == task.task_id:
            self.open[family] = (None, task)

    def find_task(self, task_id: str) -> Task | None:
        """Return the newest version of the task, from here or from below."""
        return self.tasks.get(task_id) or self._below.find_task(task_id)

    def find_batch(self, batch_id: str) -> Batch | None:
        """Return the newest version of the batch, from here or from below."""
        return self.batches.get(batch_id) or self._below.find_batch(batch_id)

    def open_of_family(self, family: Family) -> str | None:
        """Return the id of the family's open task by all that is here and below, or None."""
        if family in self.open:
            return self.open[family][0]
        return self._below.open_of_family(family)


class Pending(Overlay):
    """The index as it will be once everything under way is on disk."""

    __slots__ = ()

    def __init__(self, below: Known) -> None:
        super().__init__(below, set())

    @property
    def rows(self) -> set[str]:
        """The rows that something here is of, and those that it needs."""
        return {row_id for task in self.tasks.values() for row_id in _rows_of(task)}

    def take(self, write_set: "WriteSet") -> None:
        """Count in a checked transaction that goes to the disk now."""
        self.tasks.update(write_set.tasks)
        self.batches.update(write_set.batches)
        self.open.update(write_set.open)

    def settle(self, record: Record) -> None:
        """Forget *record*: the index has it now."""
        if isinstance(record, Task):
            if self.tasks.get(record.task_id) is record:
                del self.tasks[record.task_id]
            if self.open:
                self._settle_family(record)
        elif isinstance(record, Batch) and self.batches.get(record.batch_id) is record:
            del self.batches[record.batch_id]

    def _settle_family(self, task: Task) -> None:
        family = task.family
        if family in self.open and self.open[family][1] is task:
            del self.open[family]


class WriteSet(Overlay):
    """What a transaction of several records would change; no trace until ``Pending.take``."""

    __slots__ = ("encoded", "pending")

    def __init__(self, pending: Pending) -> None:
        super().__init__(pending, pending.leaving)
        self.pending = pending
        self.encoded: list[bytes] = []  # as JSON, all that was added

    def add(self, record: Record) -> None:
        """Check *record* against all before it, count it in, and encode it.

        Raises Conflict, IllegalMove, and ValueError as ``as_json``.
        """
        if isinstance(record, Task):
            self.add_task(record)
        elif isinstance(record, Batch):
            self.add_batch(record)
        self.encoded.append(as_json(record))


def _rows_of(task: Task) -> tuple[str, ...]:
    needed = task.depends_on
    return (task.row_id,) if needed is None else (task.row_id, needed.row_id)


def _does_not_follow(record_id: str, record: Task | Batch, known: Task | Batch | None) -> Conflict:
    stands_at = 0 if known is None else known.version
    return Conflict(
        f"{record_id} stands at version {stands_at}; version {record.version} does not follow it"
    )
