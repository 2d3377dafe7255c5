"""What the read commands tell: counts of a batch, tasks in flight, stuck ones. Pure."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta

import msgspec

from config.settings import Settings, runtime_limit_minutes
from daemon.comfy.version import why_unusable
from daemon.concern import Concern
from daemon.settle.server_memory import SECTION, memory_of
from daemon.web.batch_documents import BatchDocument
from daemon.web.standing import batch_document, table_documents
from daemon.web.status_documents import NodeProgress, Report, ServerReport, TaskInFlight
from daemon.web.warning import WarningDocument
from daemon.words import Words
from ledger.index import Index
from ledger.status import IN_FLIGHT_STAGES, Stage
from ledger.task import Task
from ledger.timestamps import from_timestamp

_NONE_TOLD: Mapping[str, NodeProgress] = {}


def report(
    index: Index,
    batches: list[BatchDocument],
    settings: Settings,
    now: datetime,
    words: Words,
    *,
    progress: Mapping[str, NodeProgress] = _NONE_TOLD,
    concerns: Iterable[Concern] = (),
    daemon_runs: bool = True,
) -> Report:
    """Return what stands in the ledger at the moment *now*; *batches*: see ``batch_reports``.

    *progress*: how far tasks are, by their ids.
    """
    in_flight = index.in_stage(*IN_FLIGHT_STAGES)
    return Report(
        servers=server_reports(index, settings),
        batches=batches,
        in_flight=[
            TaskInFlight(**msgspec.structs.asdict(task), progress=progress.get(task.task_id))
            for task in in_flight
        ],
        tables=table_documents(index, settings, words),
        stuck=sum(_is_stuck(task, settings, now) for task in in_flight),
        damage=list(index.damage),
        warnings=[WarningDocument.of(each, words) for each in concerns],
        daemon_runs=daemon_runs,
    )


def batch_reports(index: Index) -> Iterator[BatchDocument]:
    """Yield all batches with their counts, in the order of their acceptance."""
    return (batch_document(index, batch) for batch in index.batches())


def server_reports(index: Index, settings: Settings) -> list[ServerReport]:
    """Return the servers of settings and ledger; nobody is asked."""
    urls = {server.name: server.url for server in settings.servers}
    known = {name: memory_of(index, name) for name in (*urls, *index.meta(SECTION))}
    load = Counter(task.server for task in index.in_stage(*IN_FLIGHT_STAGES))
    return [
        ServerReport(
            name=name,
            url=urls.get(name),
            drained=memory.drained,
            reachable=memory.reachable,
            version=memory.version,
            why_not=why_unusable(memory.version) if memory.reachable else None,
            in_flight=load[name],
        )
        for name, memory in known.items()
    ]


def _is_stuck(task: Task, settings: Settings, now: datetime) -> bool:
    if task.stage is not Stage.RUNNING or task.started_at is None:
        return False
    default_minutes = settings.sweeps.max_runtime_minutes
    limit = runtime_limit_minutes(settings.workflows, task.workflow_type, default_minutes)
    return now - from_timestamp(task.started_at) > timedelta(minutes=limit)
