"""How long tasks wait, run, are collected and published, from the ledger's feed."""

from functools import cache

from daemon.metrics import Metrics
from ledger.entry import Transaction
from ledger.status import OPEN_STAGES, Stage
from ledger.task import Task
from ledger.timestamps import from_timestamp

#: Decisions taken from a server's history, which tells how long it executed.
_EXECUTED = frozenset({"task.collect", "task.fail"})


class Durations:
    """Observes what each step took; remembers only what is being collected or published."""

    def __init__(self, metrics: Metrics) -> None:
        times = metrics.histograms
        # Finding a metric by its labels costs more than counting; there are few of each.
        self._waited = cache(times.waiting_seconds.labels)
        self._run = cache(times.run_seconds.labels)
        self._collected = cache(times.collecting_seconds.labels)
        self._published = cache(times.publishing_seconds.labels)
        self._executed = cache(metrics.counters.gpu_seconds.labels)
        self._collecting_since: dict[str, str] = {}  # task id -> when it began
        self._publishing_since: dict[str, str] = {}

    def follow(self, task: Task, transaction: Transaction) -> None:
        """Take in a task as *transaction* made it."""
        op = transaction.op
        if op in _EXECUTED and task.gpu_seconds is not None:
            server = str((transaction.evidence or {}).get("server") or task.server or "")
            self._executed(task.workflow_type, server).inc(max(0.0, task.gpu_seconds))
        if op == "task.submitting" and task.attempt == 1:
            waited = self._waited(task.workflow_type)
            waited.observe(_seconds(task.created_at, task.updated_at))
        self._follow_collecting(task)
        self._follow_publishing(task)
        if task.stage is Stage.DONE and task.has_just_ended and task.gpu_seconds is not None:
            self._run(task.workflow_type, task.server or "").observe(task.gpu_seconds)

    def _follow_collecting(self, task: Task) -> None:
        if task.stage is Stage.COLLECTING:
            self._collecting_since.setdefault(task.task_id, task.updated_at)
            return
        since = self._collecting_since.pop(task.task_id, None)
        if since is not None and task.stage is Stage.DONE:
            collected = self._collected(task.server or "")
            collected.observe(_seconds(since, task.updated_at))

    def _follow_publishing(self, task: Task) -> None:
        if task.stage in OPEN_STAGES:
            return
        if not task.publish.is_settled:
            self._publishing_since.setdefault(task.task_id, task.updated_at)
            return
        since = self._publishing_since.pop(task.task_id, None)
        if since is not None and task.publish.state == "published":
            published = self._published(_table(task))
            published.observe(_seconds(since, task.updated_at))


def _seconds(since: str, until: str) -> float:
    """Return the seconds between two moments; a clock that was set back makes none."""
    return max(0.0, (from_timestamp(until) - from_timestamp(since)).total_seconds())


def _table(task: Task) -> str:
    row = task.metadata.table_row
    return row.table if row else ""
