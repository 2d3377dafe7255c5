"""Finds how each task in process really stands: asks ledger and servers, changes nothing.

``diagnose`` asks, pure ``_look_at`` decides; what follows is decided in ``remedy``.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Protocol, TypeAlias

import msgspec

from daemon.clock import Clock
from daemon.comfy.server import AnswerLost, Sighting, State, Ticket, Unreachable, WorkflowServer
from daemon.settle.server_memory import memory_of
from daemon.settle.settlement import ticket_of
from daemon.upkeep.diagnosis import Diagnosis, Limits, Reason
from ledger.batch import Batch
from ledger.errors import UnknownRecord
from ledger.status import IN_PROCESS_STAGES, Stage
from ledger.task import Json, Task
from ledger.timestamps import from_timestamp

#: A server that has not answered for so long is taken for unreachable; nobody waits longer.
PATIENCE_SECONDS = 30.0
#: A submission may take so long to show up; then its answer was lost.
SUBMISSION_SECONDS = 60.0
#: The follower finds an ended prompt in this time; what it has not found then is stuck.
ENDED_SECONDS = 30.0
#: A node that works reports more often, except while a model is loaded.
NO_PROGRESS_MINUTES = 10.0

#: Prompt id -> seconds since its last sign of progress, None when there is no way to know.
ProgressAge: TypeAlias = Callable[[str], float | None]


def no_news(_prompt_id: str) -> float | None:
    """Say that nobody listens to a push channel."""
    return None


class Records(Protocol):
    """The reads that a diagnosis needs; every kind of ledger and view offers them."""

    def in_stage(self, *stages: Stage, server: str | None = None) -> list[Task]:
        """Return the tasks in these open stages, oldest first."""
        ...

    def task(self, task_id: str) -> Task:
        """Return the task; raises UnknownRecord."""
        ...

    def batch(self, batch_id: str) -> Batch:
        """Return the batch; raises UnknownRecord."""
        ...

    def meta(self, section: str) -> Mapping[str, Json]:
        """Return a section of the meta part."""
        ...


async def diagnose(
    ledger: Records,
    servers: Mapping[str, WorkflowServer],
    clock: Clock,
    limits: Limits,
    progress_age_seconds: ProgressAge = no_news,
) -> list[Diagnosis]:
    """Return a diagnosis per task in process; one look at each server.

    A task that moved on while the servers were asked is left out: it is not stuck.
    """
    tasks = ledger.in_stage(*IN_PROCESS_STAGES)
    seen = await _sightings(tasks, servers)
    now = clock.now()
    diagnoses: list[Diagnosis] = []
    for task in tasks:
        if not _stands(ledger, task):
            continue
        limit = limits.minutes_for(task)
        name = task.server or ""
        answer = seen.get(name)
        if answer is None:
            since = memory_of(ledger, name).unreachable_since
            diagnoses.append(_unknown(task, limit, now, since, is_known=name in servers))
            continue
        sighting = answer.get(task.comfyui_task_id or "", Sighting(state=State.ABSENT))
        silence = progress_age_seconds(task.comfyui_task_id or "")
        diagnoses.append(_look_at(task, sighting, limit, now, silence))
    return diagnoses


async def _sightings(
    tasks: Sequence[Task], servers: Mapping[str, WorkflowServer]
) -> dict[str, dict[str, Sighting] | None]:
    """Return what each server that has tasks says of them; None from one that does not answer."""
    tickets: dict[str, list[Ticket]] = {task.server or "": [] for task in tasks}
    for task in tasks:
        if task.stage is not Stage.COLLECTING:
            tickets[task.server or ""].append(ticket_of(task))
    asked = [name for name in tickets if name in servers]
    answers = await asyncio.gather(*(_ask(servers[name], tickets[name]) for name in asked))
    return dict(zip(asked, answers, strict=True))


async def _ask(server: WorkflowServer, tickets: Sequence[Ticket]) -> dict[str, Sighting] | None:
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            if not tickets:  # all its tasks are being collected; is it there at all?
                await server.health()
            return await server.look_up(tickets)
    except (Unreachable, AnswerLost, TimeoutError):
        return None


def _stands(ledger: Records, task: Task) -> bool:
    """Say whether the task is where it was before the servers were asked."""
    try:
        now = ledger.task(task.task_id)
    except UnknownRecord:
        return False
    return (now.stage, now.comfyui_task_id) == (task.stage, task.comfyui_task_id)


def _unknown(
    task: Task, limit: float, now: datetime, since: str | None, *, is_known: bool
) -> Diagnosis:
    """Return the diagnosis where the server could not be asked; no task is reset for that."""
    return Diagnosis(
        task=task,
        running=None,
        runtime_minutes=_minutes_since(task.started_at, now),
        limit_minutes=limit,
        reason=Reason.UNREACHABLE if is_known else Reason.UNKNOWN_SERVER,
        for_minutes=_minutes_since(since, now) if since is not None else None,
    )


def _look_at(
    task: Task, sighting: Sighting, limit: float, now: datetime, silence_seconds: float | None
) -> Diagnosis:
    """Return the diagnosis of a task whose server was asked. Pure."""
    age_seconds = 60 * _minutes_since(task.updated_at, now)
    diagnosis = Diagnosis(task=task, running=False, limit_minutes=limit, how=sighting.state.value)
    if task.stage is Stage.COLLECTING:
        late = age_seconds > 60 * limit
        reason = Reason.NOT_FETCHED if late else None
        return _with(diagnosis, running=True, reason=reason, for_minutes=age_seconds / 60)
    match sighting.state:
        case State.PENDING:
            return _with(diagnosis, running=True)
        case State.RUNNING:
            return _executed(diagnosis, now, silence_seconds)
        case State.ABSENT:
            fresh = task.stage is Stage.SUBMITTING and age_seconds <= SUBMISSION_SECONDS
            return _with(diagnosis, reason=None if fresh else Reason.ABSENT)
        case _:
            ended = sighting.ended_at
            if ended is not None:
                age_seconds = (now - datetime.fromtimestamp(ended, UTC)).total_seconds()
            return _with(diagnosis, reason=Reason.ENDED if age_seconds > ENDED_SECONDS else None)


def _executed(diagnosis: Diagnosis, now: datetime, silence_seconds: float | None) -> Diagnosis:
    """Return the diagnosis of a task that its server executes right now."""
    runtime = _minutes_since(diagnosis.task.started_at, now)
    executed = _with(diagnosis, running=True, runtime_minutes=runtime)
    if runtime > diagnosis.limit_minutes:
        return _with(executed, reason=Reason.OVER_LIMIT)
    if silence_seconds is not None and silence_seconds > 60 * NO_PROGRESS_MINUTES:
        return _with(executed, reason=Reason.NO_PROGRESS, for_minutes=silence_seconds / 60)
    return executed


def _with(diagnosis: Diagnosis, **fields: object) -> Diagnosis:
    return msgspec.structs.replace(diagnosis, **fields)


def _minutes_since(at: str | None, now: datetime) -> float:
    return max(0.0, (now - from_timestamp(at)).total_seconds() / 60) if at else 0.0
