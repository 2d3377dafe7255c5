"""Fills the metrics: counters from the ledger's feed, gauges when somebody asks."""

import asyncio
from collections import Counter
from operator import attrgetter

from daemon.metrics import fill
from daemon.web.desk import Desk
from daemon.web.durations import Durations
from ledger.entry import Transaction
from ledger.slices import in_slices
from ledger.status import OPEN_STAGES, Stage
from ledger.task import Task

#: Changes that take up a task which was lost, by the name that the metric gives them.
RECOVERIES = {
    "task.run_again": "run_again",
    "task.submitting_again": "submitted_again",
    "task.as_requested": "as_requested",
    "task.reset": "reset",
}
#: What an operator wants gone, or back for later, was not lost.
_NOT_LOST = frozenset({"cancel", "take_back"})


class Measures:
    """Knows what the numbers of this daemon are."""

    def __init__(self, desk: Desk) -> None:
        self.metrics = desk.metrics
        self._desk = desk
        self._ledger = desk.ledger
        self._durations = Durations(desk.metrics)
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
            if isinstance(record, Task):
                self._count(record)
                self._count_recovery(record, transaction)
                self._durations.follow(record, transaction)

    def _count(self, task: Task) -> None:
        if task.stage is Stage.FAILED and task.has_just_ended:
            self.metrics.counters.failures.labels(_kind(task)).inc()
        if task.retried_from is not None and task.version == 1:
            before = self._ledger.index.find_task(task.retried_from)
            self.metrics.counters.retries.labels(_kind(before), "operator").inc()
        if task.auto_retries > self._auto_retries.get(task.task_id, 0):
            self._auto_retries[task.task_id] = task.auto_retries
            self.metrics.counters.retries.labels(_kind(task), "daemon").inc()
        if task.stage not in OPEN_STAGES:
            self._auto_retries.pop(task.task_id, None)

    def _count_recovery(self, task: Task, transaction: Transaction) -> None:
        if transaction.op in RECOVERIES:
            if (transaction.evidence or {}).get("requested") not in _NOT_LOST:
                self.metrics.counters.recoveries.labels(RECOVERIES[transaction.op]).inc()
        elif task.metadata.adopted and task.stage is Stage.COLLECTING and not task.output_files:
            self._count_adoption(task)

    def _count_adoption(self, task: Task) -> None:
        if all(output.path is None for output in task.outputs):  # as found, not yet being fetched
            self.metrics.counters.recoveries.labels("adopted").inc()

    def text(self) -> bytes:
        """Return all numbers as they stand, in Prometheus' text format."""
        gauges, ledger = self.metrics.gauges, self._ledger
        counts = ledger.counts()
        fill(gauges.tasks, {(stage.value,): counts[stage] for stage in Stage})
        fill(
            gauges.rows,
            {
                (workflow_type, stage.value): count
                for workflow_type, stages in ledger.index.family_counts().items()
                for stage, count in stages.items()
            },
        )
        statuses = Counter(map(attrgetter("status"), ledger.batches()))
        fill(gauges.batches, {(status.value,): count for status, count in statuses.items()})
        gauges.inbox_drops.set(self._desk.inbox_drops())
        gauges.stuck.set(self._desk.stuck.stuck)
        self._tell_servers()
        self._tell_ledger()
        self._tell_tables()
        gauges.asyncio_tasks.set(len(asyncio.all_tasks()))
        return self.metrics.text()

    def _tell_servers(self) -> None:
        gauges, servers = self.metrics.gauges, self._desk.servers
        up = {(state.name,): float(state.health is not None) for state in servers}
        drained = {(state.name,): float(state.memory.drained) for state in servers}
        fill(gauges.server_up, up)
        fill(gauges.server_drained, drained)

    def _tell_ledger(self) -> None:
        gauges, ledger = self.metrics.gauges, self._ledger
        gauges.ledger_writable.set(ledger.writable)
        gauges.ledger_damaged.set(bool(ledger.damage))
        gauges.ledger_last_seq.set(ledger.last_seq)
        gauges.journal_size_bytes.set(self._desk.journal_size_bytes())

    def _tell_tables(self) -> None:
        settings = self._desk.settings
        outboxes = {
            (table.name,): float(len(self._ledger.unpublished(table.name)))
            for table in settings.tables
        }
        fill(self.metrics.gauges.outbox_tasks, outboxes)
        if (calls := self._desk.feishu_calls()) is not None:
            fill(self.metrics.gauges.feishu_calls, {(settings.feishu.app_id,): float(calls)})


def _kind(task: Task | None) -> str:
    return (task.error_kind if task else None) or "unknown"
