"""The numbers for Prometheus: what each is called and means. Who knows them sets them."""

from collections.abc import Mapping
from functools import partial
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
        self._registry = CollectorRegistry()
        self.gauges = Gauges(self._registry)
        self.counters = Counters(self._registry)
        self.histograms = Histograms(self._registry)
        ProcessCollector(registry=self._registry)  # memory, CPU, open files

    def text(self) -> bytes:
        """Return all of it in Prometheus' text format."""
        return generate_latest(self._registry)


class Gauges:
    """How things stand when somebody asks."""

    def __init__(self, registry: CollectorRegistry) -> None:
        gauge = partial(Gauge, registry=registry)
        self.tasks = gauge("rowkeeper_tasks", "Tasks in the ledger, by stage.", ["stage"])
        self.rows = gauge(
            "rowkeeper_rows",
            "Rows, by workflow type and the stage of their newest task.",
            ["workflow_type", "stage"],
        )
        self.batches = gauge("rowkeeper_batches", "Batches, by status.", ["status"])
        self.inbox_drops = gauge(
            "rowkeeper_inbox_drops", "Drops in the inbox, as last seen, that are not decided yet."
        )
        self.stuck = gauge("rowkeeper_stuck_tasks", "Tasks executed for longer than allowed.")
        self.server_up = gauge("rowkeeper_server_up", "Whether the server answers.", ["server"])
        self.server_drained = gauge(
            "rowkeeper_server_drained", "Whether it gets no work.", ["server"]
        )
        self.ledger_writable = gauge("rowkeeper_ledger_writable", "Whether changes reach the disk.")
        self.ledger_damaged = gauge("rowkeeper_ledger_damaged", "Whether `ledger repair` is due.")
        self.ledger_last_seq = gauge("rowkeeper_ledger_last_seq", "Number of the newest change.")
        self.journal_size_bytes = gauge(
            "rowkeeper_ledger_journal_size_bytes", "What the open journal holds."
        )
        self.outbox_tasks = gauge(
            "rowkeeper_outbox_tasks", "Tasks of which a table has still to be told.", ["table"]
        )
        self.feishu_calls = gauge(
            "rowkeeper_feishu_calls_this_month", "Counted calls to Feishu.", ["app_id"]
        )
        self.event_listeners = gauge(
            "rowkeeper_event_listeners", "Clients that listen to the events."
        )
        self.asyncio_tasks = gauge(
            "rowkeeper_asyncio_tasks", "Jobs on the event loop; it does not grow."
        )


class Counters:
    """What has happened since the start."""

    def __init__(self, registry: CollectorRegistry) -> None:
        counter = partial(Counter, registry=registry)
        self.failures = counter("rowkeeper_task_failures", "Tasks that failed, by class.", ["kind"])
        self.retries = counter(
            "rowkeeper_task_retries",
            "Attempts after a failure, by class and who wanted them.",
            ["kind", "by"],
        )
        self.recoveries = counter(
            "rowkeeper_task_recoveries",
            "Tasks taken up again after being lost, by what was done.",
            ["what"],
        )
        self.gpu_seconds = counter(
            "rowkeeper_gpu_seconds",
            "Execution, of failed attempts too, as the servers' histories tell it.",
            ["workflow_type", "server"],
        )
        self.requests = counter("rowkeeper_http_requests", "HTTP answers, by status.", ["status"])


class Histograms:
    """How long things took."""

    def __init__(self, registry: CollectorRegistry) -> None:
        histogram = partial(Histogram, registry=registry)
        self.waiting_seconds = histogram(
            "rowkeeper_task_waiting_seconds",
            "From acceptance to the first submission.",
            ["workflow_type"],
            buckets=_WAITING,
        )
        self.run_seconds = histogram(
            "rowkeeper_task_run_seconds",
            "Execution of tasks that are done; sum / count is the mean.",
            ["workflow_type", "server"],
            buckets=_RUNNING,
        )
        self.collecting_seconds = histogram(
            "rowkeeper_task_collecting_seconds",
            "From the end of the execution until its files were fetched and proven.",
            ["server"],
            buckets=_MOVING,
        )
        self.publishing_seconds = histogram(
            "rowkeeper_task_publishing_seconds",
            "From the end of a task until its table had been told.",
            ["table"],
            buckets=_MOVING,
        )
        self.commit_seconds = histogram(
            "rowkeeper_ledger_commit_seconds",
            "Until a group of changes was durable.",
            buckets=_COMMIT,
        )


def fill(gauge: Gauge, values: Mapping[Labels, float]) -> None:
    """Give *gauge* exactly the series *values*, by their labels; what is gone is forgotten."""
    gauge.clear()
    for labels, value in values.items():
        gauge.labels(*labels).set(value)
