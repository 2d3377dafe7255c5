"""What a failure makes of a task: waiting for another attempt, or failed for good. Pure."""

import random
from collections.abc import Collection
from datetime import timedelta

from daemon.retrying import OUT_OF_MEMORY, failure_class, retried_again, retry_delay_seconds
from daemon.settle.gpu_memory import ran_out, too_large_for
from ledger.status import Stage
from ledger.task import Task
from ledger.timestamps import from_timestamp, to_timestamp

#: Of an error text; a table cell and a log line must stay readable.
MAX_MESSAGE_CHARACTERS = 2_000


def after_failure(
    task: Task,
    kind: str,
    message: str,
    *,
    at: str,
    max_auto_retries: int,
    servers: Collection[str] = (),
) -> Task:
    """Return *task* after a failure of class *kind* at the moment *at*.

    Waiting again, with a growing delay in ``not_before``, while the policy of its class allows
    (see ``retrying``); else failed. The message stays readable in both cases. Out of memory on
    all *servers* there are (see ``gpu_memory``), it is failed too.
    """
    message = message[:MAX_MESSAGE_CHARACTERS]
    metadata = ran_out(task) if kind == OUT_OF_MEMORY.kind else task.metadata
    too_large = kind == OUT_OF_MEMORY.kind and too_large_for(metadata, servers)
    if not too_large and retried_again(kind, task.auto_retries, max_auto_retries):
        counted = int(failure_class(kind).counts_as_retry)
        delay = retry_delay_seconds(task.auto_retries + counted, random.random)
        return waiting_again(
            task,
            at=at,
            auto_retries=task.auto_retries + counted,
            not_before=to_timestamp(from_timestamp(at) + timedelta(seconds=delay)),
            error_kind=kind,
            error_message=message,
            metadata=metadata,
        )
    return failed(task, kind, message, at=at)


def failed(task: Task, kind: str, message: str, *, at: str) -> Task:
    """Return *task* failed for good."""
    message = message[:MAX_MESSAGE_CHARACTERS]
    return task.moved(Stage.FAILED, at=at, error_kind=kind, error_message=message)


def waiting_again(task: Task, *, at: str, **fields: object) -> Task:
    """Return *task* waiting for a new attempt; what belonged to the old one is cleared."""
    fresh: dict[str, object] = {
        "comfyui_task_id": None,
        "server": None,
        "started_at": None,
        "outputs": [],
        "graph_sha256": None,
        "requested": None,
        "requested_by": None,
        "blocked_by": None,
    }
    return task.moved(Stage.WAITING, at=at, **(fresh | fields))
