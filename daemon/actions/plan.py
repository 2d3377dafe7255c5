"""What an action is made of: the view it sees, the plan it returns, the reasons it refuses."""

from collections.abc import Generator, Iterator, Mapping
from functools import partial
from typing import Protocol, TypeAlias

import msgspec

from daemon.words import Words
from ledger.batch import Batch
from ledger.entry import Record
from ledger.status import Stage
from ledger.task import Json, Task

#: ``requested_by`` of what a plan cancels: stands for whom it is carried out for.
UNSIGNED = ""


class View(Protocol):
    """The reads an action needs; ``Ledger`` and ``Index`` both offer them."""

    def task(self, task_id: str) -> Task:
        """Return the task; raises UnknownRecord."""
        ...

    def batch(self, batch_id: str) -> Batch:
        """Return the batch; raises UnknownRecord."""
        ...

    def batches(self) -> Iterator[Batch]:
        """Yield all batches, oldest first."""
        ...

    def tasks(self, batch_id: str | None = None) -> Iterator[Task]:
        """Yield all tasks (of one batch) in the order of their acceptance."""
        ...

    def in_stage(self, *stages: Stage, server: str | None = None) -> list[Task]:
        """Return the tasks in these open stages, oldest first."""
        ...

    def waiting(self, batch_id: str, workflow_type: str) -> Iterator[Task]:
        """Yield a batch's waiting tasks of a type, highest priority first."""
        ...

    def waiting_types(self, batch_id: str) -> list[str]:
        """Return the workflow types that have waiting tasks in the batch."""
        ...

    def newest_of_family(self, row_id: str, workflow_type: str) -> Task | None:
        """Return the family's newest task."""
        ...

    def newest_done_of_family(self, row_id: str, workflow_type: str) -> Task | None:
        """Return the family's newest done task."""
        ...

    def family(self, row_id: str, workflow_type: str) -> list[Task]:
        """Return all tasks of the family, oldest first."""
        ...

    def counts(self, batch_id: str | None = None) -> dict[Stage, int]:
        """Return how many tasks stand in each stage."""
        ...

    def family_counts(self, batch_id: str) -> dict[str, dict[Stage, int]]:
        """Return, per workflow type, how many families stand in each stage by newest task."""
        ...

    def stage_counts(self, batch_id: str) -> dict[int, dict[Stage, int]]:
        """Return, for stage 1 and 2 of the rows, how many families stand in each stage."""
        ...

    def blocked_counts(self, batch_id: str) -> dict[int, int]:
        """Return, for stage 1 and 2 of the rows, how many waiting tasks are blocked."""
        ...

    def failed_ids(self, batch_id: str) -> tuple[str, ...]:
        """Return the tasks that failed and are their family's newest, in the order of failing."""
        ...

    def meta(self, section: str) -> Mapping[str, Json]:
        """Return a section of the meta part."""
        ...

    def new_task_ids(self, workflow_type: str, at: str, count: int = 1) -> list[str]:
        """Return ids never given before."""
        ...


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """A sentence of the word catalogue."""

    key: str
    values: Mapping[str, Json] = {}

    def text(self, words: Words) -> str:
        """Return the sentence in the language of *words*."""
        return words(self.key, **self.values)


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What to write, as one transaction, and what to answer once it is on disk.

    No records: there is nothing to do, and *answer* says so (``changed`` false).
    """

    op: str
    answer: Mapping[str, Json]  # the fields of contract §6 that are its own
    said: Said  # the message
    records: tuple[Record, ...] = ()
    reason: str | None = None
    evidence: Mapping[str, Json] | None = None

    def told(self, words: Words) -> dict[str, Json]:
        """Return the whole answer, its message in the language of *words*."""
        return {
            "success": True,
            "changed": bool(self.records),
            "message": self.said.text(words),
            **self.answer,
        }

    def signed(self, actor: str) -> Iterator[Record]:
        """Yield the records, with *actor* as the one who wants what they request, or cancel."""
        return map(partial(_signed, actor), self.records)


#: A plan that takes long to make: it yields whenever others may have their turn.
Planning: TypeAlias = Generator[None, None, Plan]


def planned(
    op: str,
    said: Said,
    *records: Record,
    evidence: Mapping[str, Json] | None = None,
    **answer: Json,
) -> Plan:
    """Return the plan that writes *records* and answers *said* and *answer*."""
    return Plan(op=op, answer=answer, said=said, records=records, evidence=evidence)


def _signed(actor: str, record: Record) -> Record:
    if not isinstance(record, Task):
        return record
    if record.requested_by == UNSIGNED or (record.requested and not record.requested_by):
        return msgspec.structs.replace(record, requested_by=actor)
    return record
