"""Fills the gauges when somebody asks; ``counts`` fills the counters as things happen."""

import asyncio

from daemon.metrics import fill
from daemon.web.desk import Desk
from ledger.status import Stage


class Measures:
    """Knows what the numbers of this daemon are."""

    def __init__(self, desk: Desk) -> None:
        self.metrics = desk.metrics
        self._desk = desk
        self._ledger = desk.ledger

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
        fill(
            gauges.batches,
            {(status.value,): n for status, n in ledger.index.batch_counts().items() if n},
        )
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
