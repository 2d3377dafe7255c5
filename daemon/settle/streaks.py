"""How many rows of a batch failed in a row: final results in the order of their commits.

A success ends the row of failures only when its run began after the first of them: outputs take
their time to be fetched, so a run from before may be committed in between and proves nothing.

``dispatch`` holds a batch back the moment it has reached the limit, ``upkeep`` writes count and
verdict into its record.
"""

from typing import TYPE_CHECKING

from daemon.retrying import failure_class
from ledger.batch import Batch
from ledger.entry import Meta, Transaction
from ledger.status import ENDED_STAGES, Stage
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
        self._began: dict[str, str] = {}  # batch -> when its row of failures began
        ledger.subscribe(self._follow, Batch, Stage.WAITING, *ENDED_STAGES)

    def count(self, batch_id: str) -> int:
        """Return the failures in a row; once at the limit they stay until a resume or retry."""
        if (count := self._counts.get(batch_id)) is not None:
            return count
        return self._ledger.index.failures_in_a_row(batch_id)

    def too_long(self, batch_id: str) -> bool:
        """Say whether no more waiting rows of the batch are to be spent."""
        return self.count(batch_id) >= self._limit

    def _follow(self, transaction: Transaction) -> None:
        resets = transaction.op in _RESETTING
        for record in transaction.records:
            if isinstance(record, Meta):
                continue
            if resets:
                self._set(record.batch_id, 0)
            elif isinstance(record, Task) and (ended_well := counted_result(record)) is not None:
                self._take(record, ended_well=ended_well)

    def _take(self, task: Task, *, ended_well: bool) -> None:
        batch_id, count = task.batch_id, self.count(task.batch_id)
        if count >= self._limit:
            return
        began = self._began.get(batch_id)
        if not ended_well:
            self._set(batch_id, count + 1)
            self._began[batch_id] = began or task.started_at or task.updated_at
        elif began is None or (task.started_at or task.updated_at) >= began:
            self._set(batch_id, 0)

    def _set(self, batch_id: str, count: int) -> None:
        self._counts[batch_id] = count
        if count == 0:
            self._began.pop(batch_id, None)


def counted_result(task: Task) -> bool | None:
    """Return whether *task* has just ended well, or None when it does not count either way.

    Open and cancelled tasks do not, nor failures that are not the rows' fault, nor later changes
    to a task that ended before.
    """
    if not task.has_just_ended:
        return None
    if task.stage is Stage.DONE:
        return True
    if task.stage is Stage.FAILED and failure_class(task.error_kind or "").counts_as_failure:
        return False
    return None
