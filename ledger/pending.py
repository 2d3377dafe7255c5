"""Changes that were checked but are not yet durable; the next check must know them."""

from typing import TypeAlias

from ledger.batch import Batch
from ledger.entry import Record, as_json
from ledger.errors import Conflict, IllegalMove
from ledger.index import Index
from ledger.status import MOVES, OPEN_STAGES, STATUS_OF
from ledger.task import Task

Family: TypeAlias = tuple[str, str]
#: The task that is open in a family from then on, and the newest record that opened or closed one.
Opening: TypeAlias = tuple[str | None, Task]


class WriteSet:
    """What one transaction would change; it leaves no trace until ``Pending.take``."""

    __slots__ = ("batches", "encoded", "open", "pending", "tasks")

    def __init__(self, pending: "Pending") -> None:
        self.pending = pending
        self.encoded: list[bytes] = []  # as JSON, all that was added
        self.tasks: dict[str, Task] = {}
        self.batches: dict[str, Batch] = {}
        self.open: dict[Family, Opening] = {}

    def add(self, record: Record) -> None:
        """Check *record* against all before it, and encode it.

        Raises Conflict, IllegalMove, and ValueError as ``as_json``.
        """
        if isinstance(record, Task):
            self._check_task(record)
        elif isinstance(record, Batch):
            self._check_batch(record)
        self.encoded.append(as_json(record))

    def _check_task(self, task: Task) -> None:
        task_id, stage = task.task_id, task.stage
        known = self.tasks.get(task_id) or self.pending.find_task(task_id)
        if task.version != (1 if known is None else known.version + 1):
            raise _does_not_follow(task_id, task, known)
        if task.status is not STATUS_OF[stage]:
            raise IllegalMove(task_id, f"status {task.status}", f"stage {stage}")
        was_open = False
        if known is not None:
            was_open = known.stage in OPEN_STAGES
            if stage is not known.stage and stage not in MOVES[known.stage]:
                raise IllegalMove(task_id, known.stage, stage)
            if not (
                task.row_id == known.row_id
                and task.workflow_type == known.workflow_type
                and task.batch_id == known.batch_id
            ):
                raise Conflict(f"task {task_id} belongs to another row, type or batch")
        if (stage in OPEN_STAGES) is not was_open:
            self._open_or_close(task)
        self.tasks[task_id] = task

    def _check_batch(self, batch: Batch) -> None:
        batch_id = batch.batch_id
        known = self.batches.get(batch_id) or self.pending.find_batch(batch_id)
        if batch.version != (1 if known is None else known.version + 1):
            raise _does_not_follow(batch_id, batch, known)
        self.batches[batch_id] = batch

    def _open_or_close(self, task: Task) -> None:
        family = task.family
        other = self.open[family][0] if family in self.open else self.pending.open_of(family)
        if task.stage in OPEN_STAGES:
            if other not in (None, task.task_id):
                raise Conflict(f"task {task.task_id}: {other} of the same row and type is open")
            self.open[family] = (task.task_id, task)
        elif other == task.task_id:
            self.open[family] = (None, task)


class Pending:
    """The index as it will be once everything under way is on disk."""

    def __init__(self, index: Index) -> None:
        self._index = index
        self._tasks: dict[str, Task] = {}
        self._batches: dict[str, Batch] = {}
        self._open: dict[Family, Opening] = {}

    def take(self, write_set: WriteSet) -> None:
        """Count in a checked transaction that goes to the disk now."""
        self._tasks.update(write_set.tasks)
        if write_set.batches:
            self._batches.update(write_set.batches)
        if write_set.open:
            self._open.update(write_set.open)

    def settle(self, record: Record) -> None:
        """Forget *record*: the index has it now."""
        if isinstance(record, Task):
            if self._tasks.get(record.task_id) is record:
                del self._tasks[record.task_id]
            if self._open:
                self._settle_family(record)
        elif isinstance(record, Batch) and self._batches.get(record.batch_id) is record:
            del self._batches[record.batch_id]

    def _settle_family(self, task: Task) -> None:
        family = task.family
        if family in self._open and self._open[family][1] is task:
            del self._open[family]

    def find_task(self, task_id: str) -> Task | None:
        """Return the newest version of the task, durable or under way."""
        return self._tasks.get(task_id) or self._index.find_task(task_id)

    def find_batch(self, batch_id: str) -> Batch | None:
        """Return the newest version of the batch, durable or under way."""
        return self._batches.get(batch_id) or self._index.find_batch(batch_id)

    def open_of(self, family: Family) -> str | None:
        """Return the family's open task, durable or under way."""
        if family in self._open:
            return self._open[family][0]
        return self._index.open_of_family(family)


def _does_not_follow(record_id: str, record: Task | Batch, known: Task | Batch | None) -> Conflict:
    stands_at = 0 if known is None else known.version
    return Conflict(
        f"{record_id} stands at version {stands_at}; version {record.version} does not follow it"
    )
