"""Retry and cancel: one task, or all that failed in a batch."""

from collections.abc import Generator
from functools import cache

from daemon.actions.errors import ActionError
from daemon.actions.files import PathOf, files_of, gone_files
from daemon.actions.ids import new_ids
from daemon.actions.plan import UNSIGNED, Plan, Planning, Said, View, planned
from daemon.actions.retry_records import new_task, retried_records
from daemon.settle.streaks import TASK_RETRIED
from daemon.words import in_each_language
from ledger.batch import Batch, BatchStatus
from ledger.entry import Record
from ledger.statistics import statistics
from ledger.status import IN_FLIGHT_STAGES, MOVES, OPEN_STAGES, Stage, Status
from ledger.steps import at_once
from ledger.task import Json, Task


def retry(
    view: View,
    task_id: str,
    *,
    copy_files: bool,
    at: str,
    input_path: PathOf,
    output_path: PathOf,
) -> Plan:
    """Record a new task for the row of a failed or cancelled one; the old one stays as it was.

    The new task has the same row and files (both have the one copy in the content store, whatever
    *copy_files* says: it only tells whether the answer counts them). It runs by itself whatever
    its batch does; a completed batch runs again. Raises UnknownRecord, and ActionError when the
    task or its family is open or done, or files are gone.
    """
    task = view.task(task_id)
    _must_be_retryable(view, task)
    if gone := gone_files(view, [task], input_path, output_path):
        raise ActionError("files_gone", 409, files=", ".join(gone))
    batch = view.batch(task.batch_id)
    (new_id,) = view.new_task_ids(task.workflow_type, at)
    new = new_task(view, task, new_id, at=at)
    waiting = _waiting_beside(view, batch)
    return planned(
        TASK_RETRIED,
        Said(
            key="action.retried_beside_waiting" if waiting else "action.retried",
            values={"task": new_id, "number": new.retry_number, "waiting": waiting},
        ),
        *at_once(retried_records(view, batch, [(task, new)], at)),
        evidence={"retried": [task_id], "new": [new_id]},
        new_task_id=new_id,
        status=new.status.value,
        files_copied=files_of(view, task) if copy_files else 0,
        retry_number=new.retry_number,
        retried_from=task_id,
        batch_id=batch.batch_id,
        waiting=waiting,
    )


def retry_failed(
    view: View,
    batch_id: str,
    *,
    at: str,
    input_path: PathOf,
    output_path: PathOf,
) -> Planning:
    """Retry every row of the batch whose newest task failed, as ``retry`` does for one.

    Rows whose files are gone are left out and named in the answer; raises ActionError when they
    are all that failed, and UnknownRecord.
    """
    batch = view.batch(batch_id)
    whole: list[Task] = []
    left_out: dict[str, list[str]] = {}
    for task_id in view.failed_ids(batch_id):
        task = view.task(task_id)
        if gone := gone_files(view, [task], input_path, output_path):
            left_out[task_id] = gone
        else:
            whole.append(task)
        yield
    if not whole and not left_out:
        return _none_failed(view, batch)
    if not whole:
        missing = dict.fromkeys(name for names in left_out.values() for name in names)
        raise ActionError("files_gone", 409, files=", ".join(missing))
    pairs = yield from _pairs(view, whole, at)
    records = yield from retried_records(view, batch, pairs, at)
    waiting = _waiting_beside(view, batch)
    return planned(
        TASK_RETRIED,
        _all_retried(len(pairs), waiting, len(left_out)),
        *records,
        evidence={"retried": len(pairs), "left_out": len(left_out)},
        batch_id=batch_id,
        retried=len(pairs),
        new_task_ids=[new.task_id for _, new in pairs],
        files_copied=(yield from _files_copied(view, whole)),
        files_gone=[{"task_id": each, "files": [*names]} for each, names in left_out.items()],
        waiting=waiting,
    )


def _all_retried(count: int, waiting: int, left_out: int) -> Said:
    key = "action.all_retried" + "_but_some" * bool(left_out) + "_beside_waiting" * bool(waiting)
    return Said(key=key, values={"count": count, "waiting": waiting, "left_out": left_out})


def cancel(view: View, task_id: str, *, at: str) -> Plan:
    """Cancel a waiting task now; ask for one inside a server to be taken out.

    A task that has ended, or whose outputs are already being fetched, stays as it is and the
    answer says so. Raises UnknownRecord.
    """
    task = view.task(task_id)
    if task.stage is Stage.WAITING:
        cancelled = task.moved(Stage.CANCELLED, at=at, requested_by=UNSIGNED)
        return _cancelled(cancelled, "action.cancelled", cancelled)
    if task.stage not in IN_FLIGHT_STAGES:
        key = "action.already_collecting" if MOVES[task.stage] else "action.already_ended"
        return _cancelled(task, key, status=_status_word(task))
    if task.requested == "cancel":
        return _cancelled(task, "action.already_requested")
    asked = task.changed(at=at, requested="cancel", requested_by=None)
    return _cancelled(asked, "action.cancel_requested", asked)


def _status_word(task: Task) -> Json:
    """Return a task's status as people of each language call it."""
    return _word_of(task.status)


@cache
def _word_of(status: Status) -> dict[str, Json]:
    return {**in_each_language(f"status.{status}")}


def _cancelled(task: Task, key: str, *records: Record, **values: Json) -> Plan:
    return planned(
        "task.cancelled" if task.stage is Stage.CANCELLED else "task.cancel_requested",
        Said(key=key, values={"task": task.task_id, **values}),
        *records,
        task_id=task.task_id,
        status=task.status,
        stage=task.stage,
        requested=task.requested,
    )


def _must_be_retryable(view: View, task: Task) -> None:
    if task.stage in OPEN_STAGES:
        raise ActionError("retry_open", 409, task=task.task_id, state=_status_word(task))
    if task.stage is Stage.DONE:
        raise ActionError("retry_done", 409, task=task.task_id)
    newest = view.newest_of_family(*task.family)
    if newest is not None and newest.stage in OPEN_STAGES:
        raise ActionError("retry_family_open", 409, task=task.task_id, newest=newest.task_id)
    if newest is not None and newest.stage is Stage.DONE:
        raise ActionError("retry_family_done", 409, task=task.task_id, newest=newest.task_id)


def _pairs(
    view: View, failed: list[Task], at: str
) -> Generator[None, None, list[tuple[Task, Task]]]:
    """Return each failed task with its retry."""
    pairs: list[tuple[Task, Task]] = []
    ids = new_ids(view, [task.workflow_type for task in failed], at)
    for task, new_id in zip(failed, ids, strict=True):
        pairs.append((task, new_task(view, task, new_id, at=at)))
        yield
    return pairs


def _files_copied(view: View, tasks: list[Task]) -> Generator[None, None, int]:
    count = 0
    for task in tasks:
        count += files_of(view, task)
        yield
    return count


def _waiting_beside(view: View, batch: Batch) -> int:
    """Return how many rows go on waiting because the batch does not run."""
    if batch.status in (BatchStatus.RUNNING, BatchStatus.COMPLETED):
        return 0
    return statistics(view, batch.batch_id).pending


def _none_failed(view: View, batch: Batch) -> Plan:
    return planned(
        TASK_RETRIED,
        Said(key="action.none_failed"),
        batch_id=batch.batch_id,
        retried=0,
        new_task_ids=[],
        files_copied=0,
        files_gone=[],
        waiting=_waiting_beside(view, batch),
    )
