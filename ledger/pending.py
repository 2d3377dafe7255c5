"""Changes that were checked but are not yet durable; the next check must know them."""

from typing import TypeAlias

from ledger.batch import Batch
from ledger.entry import Meta, Record, as_json
from ledger.errors import Conflict, IllegalMove
from ledger.index import Index
from ledger.status import MOVES, OPEN_STAGES, STATUS_OF
from ledger.task import Task

Family: TypeAlias = tuple[str, str]
#: The task that is open in a family from then on, and the newest record that opened or closed one.
Opening: TypeAlias = tuple[str | None, Task]


class WriteSet:
    """What one transaction would change; it leaves no trace until ``Pending.take``."""

    __slots__ = ("encoded", "open", "pending", "records")

    def __init__(self, pending: "Pending") -> None:
        self.pending = pending
        self.encoded: list[bytes] = []  # as JSON, all that was added
        self.records: dict[str, Task | Batch] = {}
        self.open: dict[Family, Opening] = {}

    def add(self, record: Record) -> None:
        """Check *record* against all before it, and encode it.

        Raises Conflict, IllegalMove, and ValueError as ``as_json``.
        """
        if not isinstance(record, Meta):
            self._check(record)
        self.encoded.append(as_json(record))

    def _check(self, record: Task | Batch) -> None:
        record_id = record.record_id
        known = self.records.get(record_id) or self.pending.find(record_id, record)
        expected = 1 if known is None else known.version + 1
        if record.version != expected:
            raise Conflict(
                f"{record_id} stands at version {expected - 1}; "
                f"version {record.version} does not follow it"
            )
        if isinstance(record, Task):
            self._check_task(record, known if isinstance(known, Task) else None)
        self.records[record_id] = record

    def _check_task(self, task: Task, known: Task | None) -> None:
        stage = task.stage
        if task.status is not STATUS_OF[stage]:
            raise IllegalMove(task.task_id, f"status {task.status}", f"stage {stage}")
        if known is not None:
            if stage is not known.stage and stage not in MOVES[known.stage]:
                raise IllegalMove(task.task_id, known.stage, stage)
            if not (
                task.row_id == known.row_id
                and task.workflow_type == known.workflow_type
                and task.batch_id == known.batch_id
            ):
                raise Conflict(f"task {task.task_id} belongs to another row, type or batch")
        was_open = known is not None and known.stage in OPEN_STAGES
        if (stage in OPEN_STAGES) is not was_open:
            self._open_or_close(task)

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
        self._records: dict[str, Task | Batch] = {}
        self._open: dict[Family, Opening] = {}

    def take(self, write_set: WriteSet) -> None:
        """Count in a checked transaction that goes to the disk now."""
        self._records.update(write_set.records)
        if write_set.open:
            self._open.update(write_set.open)

    def settle(self, record: Record) -> None:
        """Forget *record*: the index has it now."""
        if isinstance(record, Meta):
            return
        record_id = record.record_id
        if self._records.get(record_id) is record:
            del self._records[record_id]
        if self._open and isinstance(record, Task):
            family = record.family
            if family in self._open and self._open[family][1] is record:
                del self._open[family]

    def find(self, record_id: str, record: Task | Batch) -> Task | Batch | None:
        """Return the newest version of the record, durable or under way."""
        if (under_way := self._records.get(record_id)) is not None:
            return under_way
        if isinstance(record, Task):
            return self._index.find_task(record_id)
        return self._index.find_batch(record_id)

    def open_of(self, family: Family) -> str | None:
        """Return the family's open task, durable or under way."""
        if family in self._open:
            return self._open[family][0]
        return self._index.open_of_family(family)
