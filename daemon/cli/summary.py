"""What the read commands tell: counts of a batch, tasks in flight, stuck ones. Pure."""

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

import msgspec

from config.settings import Settings
from ledger.batch import Batch
from ledger.state import State
from ledger.status import IN_FLIGHT_STAGES, Stage
from ledger.task import Json, Task
from ledger.timestamps import from_timestamp

_COUNTED_AS = {
    Stage.WAITING: "pending",
    Stage.DONE: "completed",
    Stage.FAILED: "failed",
    Stage.CANCELLED: "cancelled",
}


class Counts(msgspec.Struct, kw_only=True):
    """Families (a row and a workflow type), each counted once, by its newest task."""

    total: int = 0
    completed: int = 0
    failed: int = 0
    pending: int = 0
    processing: int = 0
    cancelled: int = 0
    blocked: int = 0


class Statistics(Counts, kw_only=True):
    """The counts of a batch, of all and by stage ("1" pictures or only task, "2" after it)."""

    rows: int = 0
    stages: dict[str, Counts]


class BatchReport(msgspec.Struct, frozen=True, kw_only=True):
    """A batch with its counts."""

    batch_id: str
    name: str
    status: str
    stage: int
    held: str | None
    created_at: str
    updated_at: str
    statistics: Statistics


class ServerReport(msgspec.Struct, frozen=True, kw_only=True):
    """A server as far as settings and ledger know it; nobody was asked."""

    name: str
    url: str | None  # None: the ledger knows it, the settings no longer do
    drained: bool
    reachable: bool | None  # when the daemon last asked; None: it never did
    version: str | None
    in_flight: int


class _ServerMemory(msgspec.Struct, frozen=True):
    """What dispatch left in the ledger about a server."""

    drained: bool = False
    reachable: bool | None = None
    version: str | None = None


_NOTHING = _ServerMemory()


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """The answer of `status`."""

    servers: list[ServerReport]
    batches: list[BatchReport]
    in_flight: list[Task]
    stuck: int
    damage: list[str]


def report(state: State, settings: Settings, now: datetime) -> Report:
    """Return what stands in *state* at the moment *now*."""
    in_flight = [task for task in state.tasks.values() if task.stage in IN_FLIGHT_STAGES]
    return Report(
        servers=_servers(state, settings, in_flight),
        batches=batch_reports(state),
        in_flight=in_flight,
        stuck=sum(_is_stuck(task, settings, now) for task in in_flight),
        damage=list(state.damage),
    )


def batch_reports(state: State) -> list[BatchReport]:
    """Return all batches with their counts, in the order of their acceptance."""
    newest = newest_of_families(state.tasks.values())
    by_batch: dict[str, list[Task]] = {batch_id: [] for batch_id in state.batches}
    for task in newest.values():
        by_batch.setdefault(task.batch_id, []).append(task)
    return [_batch(batch, by_batch[batch.batch_id]) for batch in state.batches.values()]


def newest_of_families(tasks: Iterable[Task]) -> Mapping[tuple[str, str], Task]:
    """Return the newest task of each family; *tasks* come in the order of acceptance."""
    return {task.family: task for task in tasks}


def _batch(batch: Batch, tasks: list[Task]) -> BatchReport:
    stages: dict[str, list[Task]] = {}
    for task in tasks:
        stages.setdefault("2" if task.depends_on else "1", []).append(task)
    counted = {stage: Counts(**_count(inside)) for stage, inside in sorted(stages.items())}
    rows = len({task.row_id for task in tasks})
    return BatchReport(
        batch_id=batch.batch_id,
        name=batch.name,
        status=batch.status,
        stage=batch.stage,
        held=batch.held,
        created_at=batch.created_at,
        updated_at=batch.updated_at,
        statistics=Statistics(rows=rows, stages=counted, **_count(tasks)),
    )


def _count(tasks: Iterable[Task]) -> dict[str, int]:
    counts = Counter(_counted_as(task) for task in tasks)
    return {"total": counts.total(), **counts}


def _counted_as(task: Task) -> str:
    if task.stage is Stage.WAITING and task.blocked_by is not None:
        return "blocked"
    return _COUNTED_AS.get(task.stage, "processing")


def _servers(state: State, settings: Settings, in_flight: list[Task]) -> list[ServerReport]:
    urls = {server.name: server.url for server in settings.servers}
    known = {name: _memory(value) for name, value in state.meta.get("servers", {}).items()}
    load = Counter(task.server for task in in_flight)
    return [
        ServerReport(
            name=name,
            url=urls.get(name),
            drained=known.get(name, _NOTHING).drained,
            reachable=known.get(name, _NOTHING).reachable,
            version=known.get(name, _NOTHING).version,
            in_flight=load[name],
        )
        for name in dict.fromkeys([*urls, *known])
    ]


def _memory(value: Json) -> _ServerMemory:
    return msgspec.convert(value, _ServerMemory) if isinstance(value, dict) else _NOTHING


def _is_stuck(task: Task, settings: Settings, now: datetime) -> bool:
    if task.stage is not Stage.RUNNING or task.started_at is None:
        return False
    workflow = settings.workflows.get(task.workflow_type)
    limit = (workflow or settings.sweeps).max_runtime_minutes
    return now - from_timestamp(task.started_at) > timedelta(minutes=limit)
