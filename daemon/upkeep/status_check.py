"""The status check: diagnoses in the words and fields of the contract; changes nothing."""

from collections.abc import Mapping, Sequence

import msgspec

from daemon.clock import Clock
from daemon.comfy.server import WorkflowServer
from daemon.upkeep.diagnosis import Diagnosis, Limits
from daemon.upkeep.inspection import ProgressAge, Records, diagnose, no_news
from daemon.words import Words
from ledger.batch import BatchStatus
from ledger.errors import UnknownRecord


class RunningTask(msgspec.Struct, frozen=True, kw_only=True):
    """A task in process, in the fields of the contract."""

    id: str
    name: str
    last_run_time: str | None
    is_active: bool  # its batch runs
    is_actually_running: bool | None  # None: its server does not answer
    runtime_minutes: float
    stuck_reason: str | None


class StuckTask(msgspec.Struct, frozen=True, kw_only=True):
    """A task that is taken for stuck."""

    id: str
    name: str
    stuck_reason: str


class StatusCheck(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to a status check."""

    running_tasks: list[RunningTask]
    stuck_tasks: list[StuckTask]
    total_running: int
    total_stuck: int
    message: str


async def status_check(
    ledger: Records,
    servers: Mapping[str, WorkflowServer],
    clock: Clock,
    *,
    limits: Limits,
    words: Words,
    progress_age_seconds: ProgressAge = no_news,
) -> StatusCheck:
    """Return how every task in process really stands; writes nothing, resets nothing."""
    diagnoses = await diagnose(ledger, servers, clock, limits, progress_age_seconds)
    return answered(ledger, diagnoses, words)


def answered(ledger: Records, diagnoses: Sequence[Diagnosis], words: Words) -> StatusCheck:
    """Return *diagnoses* in the fields of the contract."""
    running = [_running_task(ledger, diagnosis, words) for diagnosis in diagnoses]
    stuck = [
        StuckTask(id=each.id, name=each.name, stuck_reason=each.stuck_reason)
        for each in running
        if each.stuck_reason is not None
    ]
    return StatusCheck(
        running_tasks=running,
        stuck_tasks=stuck,
        total_running=len(running),
        total_stuck=len(stuck),
        message=words("stuck.checked", running=len(running), stuck=len(stuck)),
    )


def _running_task(ledger: Records, diagnosis: Diagnosis, words: Words) -> RunningTask:
    task = diagnosis.task
    try:
        batch = ledger.batch(task.batch_id)
    except UnknownRecord:
        batch = None
    parts = (f"#{task.row_number}", task.product_name, task.model_name, task.workflow_type)
    return RunningTask(
        id=task.task_id,
        name=" ".join(part for part in parts if part),
        last_run_time=task.started_at or task.metadata.processing_start_time,
        is_active=batch is not None and batch.status is BatchStatus.RUNNING,
        is_actually_running=diagnosis.running,
        runtime_minutes=round(diagnosis.runtime_minutes, 1),
        stuck_reason=diagnosis.sentence(words),
    )
