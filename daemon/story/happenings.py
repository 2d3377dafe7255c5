"""What happened to a task between two of its versions: the key of a sentence and its values. Pure.

The change itself decides, so that a change made by a step written later is told too.
"""

from typing import TypeAlias

import msgspec

from daemon.words.values import local_time, size
from ledger.status import Stage
from ledger.task import OutputFile, Publish, Task

Values: TypeAlias = dict[str, object]


class Happening(msgspec.Struct, frozen=True):
    """A sentence of the catalogue, ``story.<key>``, and what fills it."""

    key: str
    values: Values = {}


def happening(before: Task | None, after: Task, op: str) -> Happening:
    """Return what turned *before* (None: there was none) into *after*."""
    if before is None:
        return _recorded(after)
    if after.stage is not before.stage:
        return _moved(before, after, op)
    return _changed(before, after, op)


def _recorded(task: Task) -> Happening:
    if task.retried_from is not None:
        values: Values = {"number": task.retry_number, "task": task.retried_from}
        return Happening("retry", values)
    source = task.metadata.source
    values = {"name": source.name if source else "?", "line": source.line if source else None}
    if source is None or source.line is None:
        return Happening("accepted", values)
    if task.depends_on is not None:
        return Happening("accepted_second", values | {"type": task.depends_on.workflow_type})
    return Happening("accepted_line", values)


def _moved(before: Task, after: Task, op: str) -> Happening:
    match after.stage:
        case Stage.SUBMITTING:
            return Happening("submitting", _attempt(after))
        case Stage.QUEUED:
            return Happening("queued", _attempt(after))
        case Stage.RUNNING:
            return Happening("running", _attempt(after))
        case Stage.COLLECTING:
            return _ended(after)
        case Stage.DONE:
            paths = ", ".join(after.output_files)
            return Happening("done", {"count": len(after.output_files), "paths": paths})
        case Stage.FAILED:
            return Happening("failed", _error(after))
        case Stage.CANCELLED:
            return Happening("cancelled", {"stage": before.stage})
        case Stage.WAITING:
            return _waits_again(before, after, op)


def _ended(task: Task) -> Happening:
    values = _attempt(task) | {"count": len(task.outputs)}
    if task.metadata.adopted:
        return Happening("adopted", values)
    if task.gpu_seconds is None:
        return Happening("ended", values)
    return Happening("ended_after", values | {"seconds": task.gpu_seconds})


def _waits_again(before: Task, after: Task, op: str) -> Happening:
    values = _attempt(before)
    if before.requested is not None:
        return Happening(f"after_{before.requested}", values)
    if after.lost_by_server > before.lost_by_server:
        return Happening("lost", values | {"count": after.lost_by_server})
    if op == "task.not_sent":
        return Happening("not_sent", values)
    if after.error_kind is None:
        return Happening("waits_again", values)
    values |= _error(after) | {"number": after.auto_retries}
    if after.not_before is None:
        return Happening("failed_once", values)
    return Happening("failed_once_until", values | {"until": local_time(after.not_before)})


def _changed(before: Task, after: Task, op: str) -> Happening:
    if after.requested is not None and after.requested != before.requested:
        return Happening(f"requested_{after.requested}", _attempt(after))
    if before.requested is not None and after.requested is None:
        return Happening("request_settled", _attempt(after))
    if after.retry_count > before.retry_count:
        return Happening("was_retried", {"count": after.retry_count})
    if after.possible_duplicate and op == "task.submitting_again":
        return Happening("submitted_again", _attempt(after))
    if after.blocked_by != before.blocked_by:
        key = "blocked" if after.blocked_by else "unblocked"
        return Happening(key, {"reason": after.blocked_by})
    if after.outputs != before.outputs:
        return _outputs_changed(before, after, op)
    if (after.error_kind, after.error_message) != (before.error_kind, before.error_message):
        return Happening("unfit", _error(after)) if after.error_message else Happening("fit_again")
    if after.publish != before.publish:
        return _told(before.publish, after.publish)
    return Happening("changed", {"op": op})


def _told(before: Publish, after: Publish) -> Happening:
    """Return what became of the table's row, or of the files for it."""
    if len(after.uploaded_anew) > len(before.uploaded_anew):
        return Happening("upload_unknown")
    if {*after.tokens.values()} - {*before.tokens.values(), ""}:
        return Happening("uploaded")
    return Happening("published", {"state": after.state})


def _outputs_changed(before: Task, after: Task, op: str) -> Happening:
    known = set(map(_proof, before.outputs))
    proven = [each for each in after.outputs if each.sha256 and _proof(each) not in known]
    if proven:
        names = ", ".join(each.filename for each in proven)
        amount = size(sum(each.size_bytes or 0 for each in proven))
        return Happening("proven", {"names": names, "size": amount})
    if op != "task.name_taken" and all(each.path for each in after.outputs):
        return Happening("named", {"paths": ", ".join(each.path or "" for each in after.outputs)})
    return Happening("name_taken")


def _proof(output: OutputFile) -> tuple[str, str | None]:
    return (output.filename, output.sha256)


def _attempt(task: Task) -> Values:
    return {"server": task.server, "attempt": task.attempt, "prompt": task.comfyui_task_id}


def _error(task: Task) -> Values:
    return {"kind": task.error_kind or "?", "message": task.error_message or "?"}
