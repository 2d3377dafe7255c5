"""Pause, resume and stop a batch; ``rerunning`` has the fourth verb."""

import msgspec

from daemon.actions.errors import ActionError
from daemon.actions.plan import Plan, Said, View, planned
from daemon.settle.streaks import BATCH_RESUMED
from ledger.batch import Batch, BatchStatus
from ledger.entry import Record
from ledger.statistics import BatchStatistics, statistics
from ledger.status import IN_FLIGHT_STAGES, Stage
from ledger.task import Json, Task

#: What a stop may ask of a prompt inside a server, and which earlier intents it outdoes.
_OUTDONE: dict[str, frozenset[str | None]] = {
    "take_back": frozenset({None}),
    "reset": frozenset({None, "take_back"}),
}


def pause(view: View, batch_id: str, *, at: str) -> Plan:
    """Let running rows end and the waiting ones wait; a paused batch stays as it is.

    Raises UnknownRecord, and ActionError for a batch that is neither running nor paused.
    """
    batch, stands = view.batch(batch_id), statistics(view, batch_id)
    if batch.status is BatchStatus.PAUSED:
        return _answer("batch.paused", batch, stands, "action.already_paused")
    if batch.status is not BatchStatus.RUNNING:
        raise _wrong_state("pause", batch)
    paused = batch.changed(at=at, status=BatchStatus.PAUSED, halted_at=at, held=None)
    return _answer("batch.paused", paused, stands, "action.paused", paused)


def resume(view: View, batch_id: str, *, at: str) -> Plan:
    """Let a failed, stopped or paused batch go on with the rows that wait, and only those.

    With nothing left to do it stays as it is. Raises UnknownRecord, and ActionError for a running
    or completed batch.
    """
    batch, stands = view.batch(batch_id), statistics(view, batch_id)
    if batch.status in (BatchStatus.RUNNING, BatchStatus.COMPLETED):
        raise _wrong_state("resume", batch)
    if not stands.open:
        return _answer(BATCH_RESUMED, batch, stands, "action.nothing_pending")
    resumed = batch.changed(
        at=at, status=BatchStatus.RUNNING, halted_at=None, failures_in_a_row=0, held=None
    )
    return _answer(BATCH_RESUMED, resumed, stands, "action.resumed", resumed)


def stop(view: View, batch_id: str, *, interrupt: bool, at: str) -> Plan:
    """Like pause, and ask for the prompts that wait in a server's queue to be taken back.

    With *interrupt* those that run are asked back too. ``take_back`` leaves a prompt that began
    meanwhile alone, ``reset`` does not. A stopped batch may be stopped again to interrupt what
    still runs. Raises UnknownRecord, and ActionError for a completed batch.
    """
    batch, stands = view.batch(batch_id), statistics(view, batch_id)
    if batch.status is BatchStatus.COMPLETED:
        raise _wrong_state("stop", batch)
    asked = _asked_back(view, batch_id, interrupt=interrupt, at=at)
    if batch.status is BatchStatus.STOPPED:
        key = "action.stopped" if asked else "action.already_stopped"
        return _answer("batch.stopped", batch, stands, key, *asked, taken_back=len(asked))
    stopped = batch.changed(at=at, status=BatchStatus.STOPPED, halted_at=at, held=None)
    return _answer(
        "batch.stopped", stopped, stands, "action.stopped", stopped, *asked, taken_back=len(asked)
    )


def _asked_back(view: View, batch_id: str, *, interrupt: bool, at: str) -> list[Task]:
    wanted = "reset" if interrupt else "take_back"
    stages = tuple(IN_FLIGHT_STAGES) if interrupt else (Stage.SUBMITTING, Stage.QUEUED)
    return [
        task.changed(at=at, requested=wanted, requested_by=None)
        for task in view.in_stage(*stages)
        if task.batch_id == batch_id and task.requested in _OUTDONE[wanted]
    ]


def _answer(
    op: str,
    batch: Batch,
    stands: BatchStatistics,
    key: str,
    *records: Record,
    **more: Json,
) -> Plan:
    counts: dict[str, Json] = {
        "completed": stands.completed,
        "failed": stands.failed,
        "pending": stands.pending,
        "processing": stands.processing,
    }
    return planned(
        op,
        Said(key=key, values={"stage": stands.stage, **counts, **more}),
        *records,
        evidence={"stage": stands.stage, **counts},
        batch_id=batch.batch_id,
        status=batch.status.value,
        stage=stands.stage,
        statistics=msgspec.to_builtins(stands),
        **more,
    )


def _wrong_state(verb: str, batch: Batch) -> ActionError:
    return ActionError(f"cannot_{verb}_{batch.status}", 409, batch=batch.batch_id)
