"""The answers of the read commands as text."""

from collections.abc import Sequence
from typing import Protocol

from config.settings import Settings
from daemon.cli.render import table
from daemon.cli.stages import COUNTS, remark
from daemon.web.batch_documents import BatchDocument
from daemon.web.status_documents import NodeProgress, Report, ServerReport, TaskInFlight
from daemon.web.table_documents import TableDocument
from daemon.words import Words
from daemon.words.retelling import LEDGER, in_language
from daemon.words.values import local_time, printable
from ledger.status import Status
from ledger.task import Task

#: The columns of every list of tasks.
_OF_A_TASK = ("task", "row", "product", "model", "type", "status", "server")


class Server(Protocol):
    """What must be known of a server to say how it is."""

    @property
    def url(self) -> str | None: ...  # noqa: D102 - as in ServerReport
    @property
    def drained(self) -> bool: ...  # noqa: D102 - as in ServerReport
    @property
    def reachable(self) -> bool | None: ...  # noqa: D102 - as in ServerReport
    @property
    def why_not(self) -> str | None: ...  # noqa: D102 - as in ServerReport


def status(report: Report, settings: Settings, words: Words) -> str:
    """Return servers, batches and in-flight tasks below each other."""
    parts = [] if report.daemon_runs else [words("trouble.no_daemon"), ""]
    parts += [words("servers.title"), _servers(report.servers, words), ""]
    parts += [*_batches(report.batches, settings, words), ""]
    if report.in_flight:
        parts += [words("in_flight.title"), in_flight(report.in_flight, words)]
    else:
        parts += [words("in_flight.none")]
    if lines := hindered_tables(report.tables, words):
        parts += ["", *lines]
    if report.stuck:
        parts += ["", words("stuck.some", count=report.stuck)]
    if report.warnings:
        parts += ["", *(printable(warning.message) for warning in report.warnings)]
    if report.damage:
        told = (in_language(what, words.language, LEDGER) for what in report.damage)
        parts += ["", words("damage.some"), *(f"  {what}" for what in told)]
    return "\n".join(parts)


def _batches(reports: Sequence[BatchDocument], settings: Settings, words: Words) -> list[str]:
    """Return the batches that have rows still, and how many have none any more."""
    if not reports:
        return [words("batches.none", inbox=settings.inbox.path)]
    present = [report for report in reports if not is_archived(report)]
    archived = len(reports) - len(present)
    parts = [words("batches.title"), batches(present, words)] if present else []
    return [*parts, words("batches.archived", count=archived)] if archived else parts


def is_archived(report: BatchDocument) -> bool:
    """Say whether all rows of a batch are in the archive: none is accepted without rows."""
    return report.statistics.rows == 0


def hindered_tables(found: Sequence[TableDocument], words: Words) -> list[str]:
    """Return a line for each table that is not read or not told, with the reason."""
    lines: list[str] = []
    for one in found:
        if one.reading is not None:
            lines.append(words("outbox.not_read", name=one.name, why=one.reading.message))
        if one.writing is not None:
            lines.append(words("outbox.not_written", name=one.name, why=one.writing.message))
        if one.unpublished:
            lines.append(words("outbox.waiting", name=one.name, count=one.unpublished))
    return lines


def batches(reports: Sequence[BatchDocument], words: Words) -> str:
    """Return a line for each batch; counts that are 0 everywhere, or not known, are left out."""
    counts = COUNTS
    heads = ["batch", "status", *counts, "held"]
    rows = [
        [
            report.batch_id,
            words("batch.archived" if is_archived(report) else f"batch.{report.status}"),
            *(None if is_archived(report) else getattr(report.statistics, name) for name in counts),
            words.named("kind", report.held or ""),
        ]
        for report in reports
    ]
    kept = [
        n for n, head in enumerate(heads) if head not in counts[2:] or any(row[n] for row in rows)
    ]
    return table(
        [words(f"column.{heads[n]}") for n in kept],
        [[row[n] for n in kept] for row in rows],
        whole=(0,),
    )


def tasks(found: Sequence[Task], words: Words) -> str:
    """Return a line for each task."""
    heads = (*_OF_A_TASK, "updated", "remark")
    rows = [
        [*_cells(task, words), local_time(task.updated_at), remark(task, words)] for task in found
    ]
    return table([words(f"column.{head}") for head in heads], rows)


def in_flight(found: Sequence[TaskInFlight], words: Words) -> str:
    """Return a line for each task that is on a server, with how far it is."""
    heads = (*_OF_A_TASK, "progress", "updated", "remark")
    rows = [
        [
            *_cells(task, words),
            _share(task.progress),
            local_time(task.updated_at),
            remark(task, words),
        ]
        for task in found
    ]
    return table([words(f"column.{head}") for head in heads], rows)


def _cells(task: Task, words: Words) -> list[object]:
    return [
        task.task_id,
        task.row_number,
        task.product_name,
        task.model_name,
        task.workflow_type,
        stage(task, words),
        task.server,
    ]


def _share(progress: NodeProgress | None) -> str | None:
    """Return how far the node is that runs now, in percent, if it says."""
    if progress is None or progress.value is None or not progress.maximum:
        return None
    return f"{progress.value / progress.maximum:.0%}"


def stage(one: Task, words: Words) -> str:
    """Return the status, with the stage where that says more: ``在处理中 (running)``."""
    if one.status is not Status.PROCESSING:
        return words(f"status.{one.status}")
    return f"{words(f'status.{one.status}')} ({words(f'stage.{one.stage}')})"


def _servers(reports: Sequence[ServerReport], words: Words) -> str:
    rows = [
        [one.name, one.url, server_state(one, words), one.version, one.in_flight] for one in reports
    ]
    heads = ("name", "address", "state", "version", "in_flight")
    return table([words(f"column.{head}") for head in heads], rows)


def server_state(server: Server, words: Words) -> str:
    """Return whether the server takes work, in a word or two."""
    if server.url is None:
        return words("servers.unlisted")
    if server.drained:
        return words("servers.drained")
    if not server.reachable:
        return words("servers.unasked" if server.reachable is None else "servers.unreachable")
    return words("servers.open" if server.why_not is None else "servers.unusable")
