"""What becomes of the rows of a drop: which are new, and what is recorded of them.

Whoever takes drops in decides with this, the daemon (``accept``) and a command without one
(``direct``); it loads no event loop.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Protocol

import msgspec

from daemon.intake.candidates import Candidates, Drop, refused
from daemon.intake.columns import WorkflowNeeds, clean_text
from daemon.intake.reasons import because
from daemon.intake.records import AcceptedRow, new_batch, new_batch_id, new_tasks
from daemon.intake.rows import RefusedRow
from ledger.entry import Meta, Record
from ledger.task import Source, Task


class Receipt(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a drop's rows."""

    batch_id: str  # of the batch; without accepted rows there is none of this id
    accepted_rows: int = 0
    task_ids: tuple[str, ...] = ()
    rejected: tuple[RefusedRow, ...] = ()
    duplicates: tuple[RefusedRow, ...] = ()


class Decided(msgspec.Struct, frozen=True):
    """A receipt, and the records of the rows that run; emptied once they are recorded."""

    receipt: Receipt
    records: list[Record]


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """Records of one transaction, and what the journal says of it."""

    records: tuple[Record, ...]
    op: str
    actor: str


class GivesIds(Protocol):
    """A ledger, as far as new tasks are numbered by it."""

    def each_new_task_id(self, workflow_type: str, at: str, count: int) -> Iterator[str]:
        """Return ids never given before, each made when it is asked for."""
        ...


class Sieve:
    """Parts rows that were never accepted from the others; of equal ones the first is new."""

    def __init__(self, was_accepted: Callable[[str], bool]) -> None:
        self._was_accepted = was_accepted
        self._claimed: set[str] = set()

    def new_among(self, rows: Sequence[AcceptedRow], drop: Drop) -> list[AcceptedRow]:
        """Return those of *rows*, of *drop*, that run; raises LedgerDamaged as ``was_accepted``."""
        new = [row for row in rows if drop.rerun or self._is_new(row.fingerprint)]
        self._claimed.update(row.fingerprint for row in new)
        return new

    def _is_new(self, fingerprint: str) -> bool:
        return fingerprint not in self._claimed and not self._was_accepted(fingerprint)


def ids_for(rows: Sequence[AcceptedRow], ledger: GivesIds, at: str) -> dict[str, Iterator[str]]:
    """Return, by workflow type, the ids that the tasks of *rows* will bear, in order."""
    wanted = Counter(chain.from_iterable(row.wanted.workflow_types for row in rows))
    return {name: ledger.each_new_task_id(name, at, count) for name, count in wanted.items()}


def decide(
    candidates: Candidates,
    new: Sequence[AcceptedRow],
    ids: Mapping[str, Iterator[str]],
    needs: Mapping[str, WorkflowNeeds],
    at: str,
) -> Decided:
    """Return the verdict on a drop of which the rows *new* run; pure, but for the batch's id."""
    drop = candidates.drop
    source = Source(kind=drop.kind, name=clean_text(drop.name))
    batch = new_batch(new_batch_id(clean_text(drop.stem)), source, at, drop.options)
    tasks: list[Task] = []
    for row in new:
        own = [next(ids[workflow_type]) for workflow_type in row.wanted.workflow_types]
        tasks += new_tasks(row, own, batch, needs, at)
    running = {row.wanted.line for row in new}
    receipt = Receipt(
        batch_id=batch.batch_id,
        accepted_rows=len(new),
        task_ids=tuple(task.task_id for task in tasks),
        rejected=tuple(candidates.rejected),
        duplicates=tuple(
            refused(row.wanted, because("duplicate"))
            for row in candidates.good
            if row.wanted.line not in running
        ),
    )
    return Decided(receipt, [batch, *tasks] if tasks else [])


def change_of(decided: Decided, drop: Drop, also: Sequence[Meta]) -> Change | None:
    """Return what is to be written of the verdict, and *also*; None when there is nothing."""
    if not (records := (*decided.records, *also)):
        return None
    op = "batch.accepted" if decided.receipt.accepted_rows else "drop.refused"
    return Change(records=records, op=op, actor=drop.kind)
