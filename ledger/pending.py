"""Changes that were checked but are not yet durable; the next check must know them."""

from typing import TypeAlias

from ledger.batch import Batch
from ledger.entry import Meta, Record
from ledger.errors import Conflict, IllegalMove
from ledger.index import Index
from ledger.status import MOVES, OPEN_STAGES, STATUS_OF
from ledger.task import Task

Family: TypeAlias = tuple[str, str]


class Claim:
    """What one transaction would change; it leaves no trace until ``Pending.take``."""

    def __init__(self, pending: "Pending") -> None:
        self._pending = pending
        self.records: dict[str, Task | Batch] = {}
        self.open: dict[Family, str | None] = {}

    def add(self, record: Record) -> None:
        """Check *record* against all before it; raises Conflict or IllegalMove."""
        if isinstance(record, Meta):
            return
        record_id = record.record_id
        known = self.records.get(record_id) or self._pending.find(record)
        _check_version(record, known)
        if isinstance(record, Task):
            self._check_task(record, known if isinstance(known, Task) else None)
        self.records[record_id] = record

    def _check_task(self, task: Task, known: Task | None) -> None:
        if task.status is not STATUS_OF[task.stage]:
            raise IllegalMove(task.task_id, f"status {task.status}", f"stage {task.stage}")
        family = task.family
        if known is not None:
            if task.stage is not known.stage and task.stage not in MOVES[known.stage]:
                raise IllegalMove(task.task_id, known.stage, task.stage)
            if family != known.family or task.batch_id != known.batch_id:
                raise Conflict(f"task {task.task_id} belongs to another row, type or batch")
        other = self.open[family] if family in self.open else self._pending.open_of(family)
        if task.stage in OPEN_STAGES:
            if other not in (None, task.task_id):
                raise Conflict(f"task {task.task_id}: {other} of the same row and type is open")
            self.open[family] = task.task_id
        elif other == task.task_id:
            self.open[family] = None


class Pending:
    """The index as it will be once everything under way is on disk."""

    def __init__(self, index: Index) -> None:
        self._index = index
        self._records: dict[str, Task | Batch] = {}
        self._open: dict[Family, str | None] = {}  # the open task of each family touched
        self._touching: dict[Family, int] = {}  # how many records under way touch the family

    def take(self, claim: Claim, record: Record) -> None:
        """Count in one record of a checked transaction; nothing is checked until all are.

        What is half counted in must go all the way.
        """
        if isinstance(record, Meta):
            return
        self._records[record.record_id] = claim.records[record.record_id]
        if isinstance(record, Task):
            family = record.family
            if family in claim.open:
                self._open[family] = claim.open[family]
            self._touching[family] = self._touching.get(family, 0) + 1

    def settle(self, record: Record) -> None:
        """Forget *record*: the index has it now."""
        if isinstance(record, Meta):
            return
        if self._records.get(record.record_id) is record:
            del self._records[record.record_id]
        if isinstance(record, Task):
            family = record.family
            left = self._touching[family] - 1
            if left:
                self._touching[family] = left
            else:
                del self._touching[family]
                self._open.pop(family, None)

    def find(self, record: Task | Batch) -> Task | Batch | None:
        """Return the newest version of the record, durable or under way."""
        if (under_way := self._records.get(record.record_id)) is not None:
            return under_way
        if isinstance(record, Task):
            return self._index.find_task(record.task_id)
        return self._index.find_batch(record.batch_id)

    def open_of(self, family: Family) -> str | None:
        """Return the family's open task, durable or under way."""
        return self._open[family] if family in self._open else self._index.open_of_family(family)


def _check_version(record: Task | Batch, known: Task | Batch | None) -> None:
    expected = 1 if known is None else known.version + 1
    if record.version != expected:
        raise Conflict(
            f"{record.record_id} stands at version {expected - 1}; "
            f"version {record.version} does not follow it"
        )
