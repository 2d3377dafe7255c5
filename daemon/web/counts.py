"""Fills the metrics' counters and histograms from the ledger's feed."""

from daemon.metrics import Metrics
from daemon.web.durations import Durations
from ledger.entry import Transaction
from ledger.ledger import Ledger
from ledger.slices import in_slices
from ledger.status import ENDED_STAGES, OPEN_STAGES, Stage
from ledger.task import Task

#: Changes that take up a task which was lost, by the name that the metric gives them.
RECOVERIES = {
    "task.run_again": "run_again",
    "task.submitting_again": "submitted_again",
    "task.as_requested": "as_requested",
    "task.reset": "reset",
}
#: Stages of which there is something to count; most of the others are of tasks inside servers.
COUNTED_STAGES = frozenset(Stage) - {Stage.QUEUED, Stage.RUNNING}
#: What an operator wants gone, or back for later, was not lost.
_NOT_LOST = frozenset({"cancel", "take_back"})


class Counts:
    """Counts what happens to tasks; of open ones it knows what they have behind them."""

    def __init__(self, metrics: Metrics, ledger: Ledger) -> None:
        self._metrics = metrics
        self._ledger = ledger
        self._durations = Durations(metrics)
        self._auto_retries: dict[str, int] = {}  # of open tasks that have any

    async def load(self) -> None:
        """Take in what open tasks have behind them; it was counted by earlier processes."""

        def look(task: Task) -> None:
            if task.auto_retries:
                self._auto_retries[task.task_id] = task.auto_retries

        await in_slices(map(look, self._ledger.each_in_stage(*OPEN_STAGES)))

    def follow(self, transaction: Transaction) -> None:
        """Count what a durable transaction tells: a listener of the ledger."""
        for record in transaction.records:
            if isinstance(record, Task) and not _is_new_row(record):
                self._count(record)
                self._count_recovery(record, transaction)
                self._durations.follow(record, transaction)

    def _count(self, task: Task) -> None:
        if task.stage is Stage.FAILED and task.has_just_ended:
            self._metrics.counters.failures.labels(_kind(task)).inc()
        if task.retried_from is not None and task.version == 1:
            before = self._ledger.index.find_task(task.retried_from)
            self._metrics.counters.retries.labels(_kind(before), "operator").inc()
        if task.auto_retries > self._auto_retries.get(task.task_id, 0):
            self._auto_retries[task.task_id] = task.auto_retries
            self._metrics.counters.retries.labels(_kind(task), "daemon").inc()
        if task.stage in ENDED_STAGES:
            self._auto_retries.pop(task.task_id, None)

    def _count_recovery(self, task: Task, transaction: Transaction) -> None:
        if transaction.op in RECOVERIES:
            if (transaction.evidence or {}).get("requested") not in _NOT_LOST:
                self._metrics.counters.recoveries.labels(RECOVERIES[transaction.op]).inc()
        elif task.metadata.adopted and task.stage is Stage.COLLECTING and not task.output_files:
            self._count_adoption(task)

    def _count_adoption(self, task: Task) -> None:
        if all(output.path is None for output in task.outputs):  # as found, not yet being fetched
            self._metrics.counters.recoveries.labels("adopted").inc()


def _is_new_row(task: Task) -> bool:
    """Say whether it was just accepted, of which the ledger itself counts how many there are."""
    return task.version == 1 and task.stage is Stage.WAITING and task.retried_from is None


def _kind(task: Task | None) -> str:
    return (task.error_kind if task else None) or "unknown"
