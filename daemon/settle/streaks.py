"""How many rows of a batch failed in a row: final results in the order of their commits.

``dispatch`` holds a batch back the moment it has reached the limit, ``upkeep`` writes count and
verdict into its record.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from daemon.retrying import failure_class
from ledger.batch import Batch
from ledger.entry import Transaction
from ledger.status import Stage
from ledger.task import Task

if TYPE_CHECKING:  # commands that hold the lock themselves need no event loop
    from ledger.ledger import Ledger

#: Operations after which the count begins anew: an operator has looked at the batch.
BATCH_RESUMED = "batch.resumed"
TASK_RETRIED = "task.retried"
_RESETTING = frozenset({BATCH_RESUMED, TASK_RETRIED})


class Streaks:
    """Counts along with the change feed; a batch's record says where an earlier process stood."""

    def __init__(self, ledger: "Ledger", limit: int) -> None:
        self._ledger = ledger
        self._limit = limit
        self._counts: dict[str, int] = {}
        ledger.subscribe(self._follow)

    def count(self, batch_id: str) -> int:
        """Return the failures in a row; once at the limit they stay until a resume or retry."""
        if (count := self._counts.get(batch_id)) is not None:
            return count
        batch = self._ledger.index.find_batch(batch_id)
        return batch.failures_in_a_row if batch is not None else 0

    def too_long(self, batch_id: str) -> bool:
        """Say whether no more waiting rows of the batch are to be spent."""
        return self.count(batch_id) >= self._limit

    def _follow(self, transaction: Transaction) -> None:
        resets = transaction.op in _RESETTING
        for record in transaction.records:
            if not isinstance(record, Task | Batch):
                continue
            if resets:
                self._counts[record.batch_id] = 0
            elif isinstance(record, Task) and (ended_well := counted_result(record)) is not None:
                self._counts[record.batch_id] = failures_in_a_row(
                    self.count(record.batch_id), [ended_well], self._limit
                )


def counted_result(task: Task) -> bool | None:
    """Return whether *task* has just ended well, or None when it does not count either way.

    Open and cancelled tasks do not, nor failures that are not the rows' fault, nor later changes
    to a task that ended before.
    """
    if task.finished_at != task.updated_at:
        return None
    if task.stage is Stage.DONE:
        return True
    if task.stage is Stage.FAILED and failure_class(task.error_kind or "").counts_as_failure:
        return False
    return None


def failures_in_a_row(before: int, results: Iterable[bool], limit: int) -> int:
    """Return the count after *results*; once at *limit* it stays there."""
    count = before
    for ended_well in results:
        if count >= limit:
            break
        count = 0 if ended_well else count + 1
    return count
