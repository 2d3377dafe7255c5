"""The numbers for Prometheus: what each is called and means. Who knows them sets them."""

from collections.abc import Mapping
from typing import TypeVar

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.exposition import CONTENT_TYPE_LATEST

CONTENT_TYPE = CONTENT_TYPE_LATEST

#: Upper ends of the histograms' steps, in seconds.
_WAITING = (1, 5, 15, 60, 300, 900, 3_600, 14_400, 86_400)
_RUNNING = (1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1_800, 3_600)
_MOVING = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1_800)
_COMMIT = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 1, 5)

Labels = TypeVar("Labels", bound=tuple[str, ...])


class Metrics:
    """One daemon's numbers, in a registry of their own."""

    def __init__(self) -> None:
        registry = self._registry = CollectorRegistry()
        self.tasks = Gauge(
            "rowkeeper_tasks", "Tasks in the ledger, by stage.", ["stage"], registry=registry
        )
        self.rows = Gauge(
            "rowkeeper_rows",
            "Rows, by workflow type and the stage of their newest task.",
            ["workflow_type", "stage"],
            registry=registry,
        )
        self.batches = Gauge(
            "rowkeeper_batches", "Batches, by status.", ["status"], registry=registry
        )
        self.inbox_drops = Gauge(
            "rowkeeper_inbox_drops",
            "Drops in the inbox, as last seen, that are not decided yet.",
            registry=registry,
        )
        self.stuck = Gauge(
            "rowkeeper_stuck_tasks", "Tasks executed for longer than allowed.", registry=registry
        )
        self.server_up = Gauge(
            "rowkeeper_server_up", "Whether the server answers.", ["server"], registry=registry
        )
        self.server_drained = Gauge(
            "rowkeeper_server_drained", "Whether it gets no work.", ["server"], registry=registry
        )
        self.ledger_writable = Gauge(
            "rowkeeper_ledger_writable", "Whether changes reach the disk.", registry=registry
        )
        self.ledger_damaged = Gauge(
            "rowkeeper_ledger_damaged", "Whether `ledger repair` is due.", registry=registry
        )
        self.event_listeners = Gauge(
            "rowkeeper_event_listeners", "Clients that listen to the events.", registry=registry
        )
        self.ledger_last_seq = Gauge(
            "rowkeeper_ledger_last_seq", "Number of the newest change.", registry=registry
        )
        self.failures = Counter(
            "rowkeeper_task_failures", "Tasks that failed, by class.", ["kind"], registry=registry
        )
        self.retries = Counter(
            "rowkeeper_task_retries",
            "Attempts after a failure, by class and who wanted them.",
            ["kind", "by"],
            registry=registry,
        )
        self.recoveries = Counter(
            "rowkeeper_task_recoveries",
            "Tasks taken up again after being lost, by what was done.",
            ["what"],
            registry=registry,
        )
        self.waiting_seconds = Histogram(
            "rowkeeper_task_waiting_seconds",
            "From acceptance to the first submission.",
            ["workflow_type"],
            buckets=_WAITING,
            registry=registry,
        )
        self.run_seconds = Histogram(
            "rowkeeper_task_run_seconds",
            "Execution of tasks that are done; sum / count is the mean.",
            ["workflow_type", "server"],
            buckets=_RUNNING,
            registry=registry,
        )
        self.collecting_seconds = Histogram(
            "rowkeeper_task_collecting_seconds",
            "From the end of the execution until its files were fetched and proven.",
            ["server"],
            buckets=_MOVING,
            registry=registry,
        )
        self.publishing_seconds = Histogram(
            "rowkeeper_task_publishing_seconds",
            "From the end of a task until its table had been told.",
            ["table"],
            buckets=_MOVING,
            registry=registry,
        )
        self.gpu_seconds = Counter(
            "rowkeeper_gpu_seconds",
            "Execution, of failed attempts too, as the servers' histories tell it.",
            ["workflow_type", "server"],
            registry=registry,
        )
        self.commit_seconds = Histogram(
            "rowkeeper_ledger_commit_seconds",
            "Until a group of changes was durable.",
            buckets=_COMMIT,
            registry=registry,
        )
        self.journal_size_bytes = Gauge(
            "rowkeeper_ledger_journal_size_bytes",
            "What the open journal holds.",
            registry=registry,
        )
        self.outbox_tasks = Gauge(
            "rowkeeper_outbox_tasks",
            "Tasks of which a table has still to be told.",
            ["table"],
            registry=registry,
        )
        self.feishu_calls = Gauge(
            "rowkeeper_feishu_calls_this_month",
            "Counted calls to Feishu.",
            ["app_id"],
            registry=registry,
        )
        self.asyncio_tasks = Gauge(
            "rowkeeper_asyncio_tasks",
            "Jobs on the event loop; it does not grow.",
            registry=registry,
        )
        ProcessCollector(registry=registry)  # memory, CPU, open files
        self.requests = Counter(
            "rowkeeper_http_requests", "HTTP answers, by status.", ["status"], registry=registry
        )

    def text(self) -> bytes:
        """Return all of it in Prometheus' text format."""
        return generate_latest(self._registry)


def fill(gauge: Gauge, values: Mapping[Labels, float]) -> None:
    """Give *gauge* exactly the series *values*, by their labels; what is gone is forgotten."""
    gauge.clear()
    for labels, value in values.items():
        gauge.labels(*labels).set(value)
