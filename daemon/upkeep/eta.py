"""When a batch will have ended: remaining work on the servers there are, as a range.

Counted is only execution by the batch's own rows; waiting behind other batches, uploads and
downloads are not. ``RunTimes`` remembers, ``estimate`` is pure.
"""

import statistics
from collections import deque
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TypeAlias

import msgspec

from ledger.ledger import Ledger
from ledger.newest import newest_done
from ledger.slices import in_slices
from ledger.status import Stage
from ledger.task import Task
from ledger.timestamps import from_timestamp

#: Fewer known runs of a type say nothing.
FEWEST_RUNS = 5
#: Runs kept per server and type.
KEPT_RUNS = 50
#: Records looked at, at a start, to find the last runs of each type.
TASKS_LOOKED_AT = 2000
_LEFT = (Stage.WAITING, Stage.SUBMITTING, Stage.QUEUED, Stage.RUNNING)

#: Seconds of the last runs of one workflow type: server -> seconds.
Runs: TypeAlias = Mapping[str, Sequence[float]]


class Work(msgspec.Struct, frozen=True, kw_only=True):
    """What of a batch is still to be executed."""

    tasks: Mapping[str, int]  # workflow type -> how many
    spent_seconds: float = 0.0  # by executions under way


class Eta(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds from now until the last execution has ended."""

    low_seconds: float
    high_seconds: float


class _Run(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What is kept of an execution; 2000 whole records would be 10 MB."""

    workflow_type: str
    server: str
    seconds: float
    finished_at: str


class RunTimes:
    """The last executions of each type on each server, from the ledger's feed."""

    def __init__(self) -> None:
        self._runs: dict[str, dict[str, deque[float]]] = {}  # type -> server -> seconds

    async def load(self, ledger: Ledger) -> None:
        """Take in the newest tasks that are done, ``TASKS_LOOKED_AT`` at most."""
        runs: deque[_Run] = deque()  # as accepted: what ended at the same instant stays so

        def look(task: Task | None) -> None:
            if task is not None and (run := _run_of(task)) is not None:
                runs.appendleft(run)

        await in_slices(map(look, newest_done(ledger.index, TASKS_LOOKED_AT)))
        for run in sorted(runs, key=lambda run: run.finished_at):
            self._take(run)

    def take(self, task: Task) -> None:
        """Take in a task that has just ended."""
        if (run := _run_of(task)) is not None:
            self._take(run)

    def of(self, workflow_type: str) -> Runs:
        """Return what is known of the type."""
        return self._runs.get(workflow_type, {})

    def _take(self, run: _Run) -> None:
        servers = self._runs.setdefault(run.workflow_type, {})
        servers.setdefault(run.server, deque(maxlen=KEPT_RUNS)).append(run.seconds)


def _run_of(task: Task) -> _Run | None:
    if task.stage is not Stage.DONE or task.gpu_seconds is None or task.server is None:
        return None
    return _Run(
        workflow_type=task.workflow_type,
        server=task.server,
        seconds=task.gpu_seconds,
        finished_at=task.finished_at or "",
    )


def remaining_work(ledger: Ledger, batch_id: str, now: datetime) -> Work:
    """Return what of the batch its servers still have to execute; blocked rows do not run.

    Asked for every batch that changes, each second: the cost does not grow with its rows.
    """
    index = ledger.index
    tasks = {
        workflow_type: sum(counts[stage] for stage in _LEFT)
        for workflow_type, counts in index.family_counts(batch_id).items()
    }
    for workflow_type, blocked in index.blocked_types(batch_id).items():
        tasks[workflow_type] -= blocked
    spent_seconds = sum(
        max(0.0, (now - from_timestamp(task.started_at)).total_seconds())
        for task in index.in_stage(Stage.RUNNING)
        if task.batch_id == batch_id and task.started_at is not None
    )
    left = {name: count for name, count in tasks.items() if count > 0}
    return Work(tasks=left, spent_seconds=spent_seconds)


def estimate(work: Work, servers: Sequence[str], known: RunTimes) -> Eta | None:
    """Return how long *servers* need for *work*, None when that cannot be known.

    Around the medians of the last runs: the lower and the upper quartile of each type give the
    ends of the range. None without servers or work, and while fewer than ``FEWEST_RUNS`` runs of a
    type are known. A server that is new to a type is taken for as fast as the others.
    """
    if not servers or not work.tasks:
        return None
    low_seconds, high_seconds = 0.0, 0.0
    longest_seconds = 0.0
    for name, count in work.tasks.items():
        quartiles = _per_server(known.of(name), servers)
        if quartiles is None:
            return None
        low_seconds += _shared(count, [low for low, _ in quartiles])
        high_seconds += _shared(count, [high for _, high in quartiles])
        longest_seconds = max(longest_seconds, *(high for _, high in quartiles))
    # The last run may begin when all other servers are through (Graham's bound).
    high_seconds += longest_seconds * (1 - 1 / len(servers))
    spent_seconds = work.spent_seconds / len(servers)
    low_seconds = max(0.0, low_seconds - spent_seconds)
    high_seconds = max(low_seconds, high_seconds - spent_seconds)
    return Eta(low_seconds=round(low_seconds, 1), high_seconds=round(high_seconds, 1))


def _shared(count: int, seconds: Sequence[float]) -> float:
    """Return how long servers that need *seconds* for a run each take for *count* together."""
    return count / sum(1 / max(each, 0.001) for each in seconds)


def _per_server(runs: Runs, servers: Sequence[str]) -> list[tuple[float, float]] | None:
    """Return each server's quartiles; None when too few runs are known altogether."""
    everywhere = [seconds for times in runs.values() for seconds in times]
    if len(everywhere) < FEWEST_RUNS:
        return None
    quartiles: list[tuple[float, float]] = []
    for server in servers:
        own = runs.get(server, ())
        low, _, high = statistics.quantiles(
            own if len(own) >= FEWEST_RUNS else everywhere, n=4, method="inclusive"
        )
        quartiles.append((low, high))
    return quartiles
