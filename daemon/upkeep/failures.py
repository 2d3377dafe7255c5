"""How many rows of a batch failed in a row: counted over final results in the order of commits."""

from collections.abc import Iterable

from daemon.retrying import failure_class
from ledger.status import Stage
from ledger.task import Task

#: Operations after which the count begins anew: an operator has looked at the batch.
BATCH_RESUMED = "batch.resumed"
TASK_RETRIED = "task.retried"
RESETTING = frozenset({BATCH_RESUMED, TASK_RETRIED})


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
