"""What a run that ends of itself came to, so that it does not end in silence."""

from collections import Counter
from collections.abc import Iterable

import msgspec

from ledger.batch import BatchStatus
from ledger.entry import Meta, Transaction
from ledger.ledger import Ledger
from ledger.status import Stage
from ledger.task import Task

#: Of what a server said, in one line.
_ERROR_CHARACTERS = 100


class Waiting(msgspec.Struct, frozen=True):
    """Tasks that wait for the same reason: ``blocked``, ``batch`` or ``error``."""

    reason: str
    subject: str = ""  # the batch's id, or the error
    status: str = ""  # of the batch


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What ended while we watched, and what is open still."""

    done: int
    failed: int
    rejected: int  # rows of drops and tables, and drops of which nothing could be read
    waiting: dict[Waiting, int]
    tables_hindered: bool


class Endings:
    """Counts what has ended since it follows the ledger: tasks, and rows that were given back."""

    def __init__(self) -> None:
        self.done = 0
        self.failed = 0
        self.rejected = 0

    def take(self, task: Task) -> None:
        """Count a task that has just ended."""
        self.failed += task.stage is Stage.FAILED
        self.done += task.stage is Stage.DONE

    def follow_drops(self, transaction: Transaction) -> None:
        """Count the rows that a durable transaction gives back: a listener of the ledger."""
        for record in transaction.records:
            if isinstance(record, Meta):
                self.rejected += rejected_in(record)


class _Filing(msgspec.Struct, frozen=True):
    """Of the ledger's record on a drop that was decided, what is counted."""

    rejected: tuple[object, ...] = ()
    error: str | None = None


def rejected_in(record: Meta) -> int:
    """Return how many rows a decided drop was given back, or 1 for a drop given back whole."""
    if record.section != "drops" or record.value is None:
        return 0
    filing = msgspec.convert(record.value, _Filing)
    return len(filing.rejected) or int(filing.error is not None)


def reasons_of(ledger: Ledger, tasks: Iterable[Task]) -> dict[Waiting, int]:
    """Return why each of *tasks*, all open, does not go on, the most frequent reason first."""
    return dict(Counter(_reason(ledger, task) for task in tasks).most_common())


def _reason(ledger: Ledger, task: Task) -> Waiting:
    batch = ledger.batch(task.batch_id)
    if task.blocked_by is not None:
        return Waiting("blocked")
    if batch.status is not BatchStatus.RUNNING:
        return Waiting("batch", batch.batch_id, batch.status.value)
    error = task.error_message or task.error_kind or task.stage.value
    return Waiting("error", error[:_ERROR_CHARACTERS])
