"""What a diagnosis calls for: settled from evidence, reset by force, or left alone. Pure."""

from daemon.retrying import TIMEOUT
from daemon.upkeep.diagnosis import Diagnosis, Reason
from daemon.words.recorded import recorded
from ledger.status import Stage
from ledger.task import Json


def is_lost(diagnosis: Diagnosis) -> bool:
    """Say whether the task is to be settled from evidence, without anybody's force.

    Not one that waits for a person: each sweep would back the ledger up for nothing.
    """
    if diagnosis.reason is Reason.ENDED:
        return True
    return diagnosis.reason is Reason.ABSENT and diagnosis.task.blocked_by is None


def is_forced(diagnosis: Diagnosis, *, spare_healthy: bool) -> bool:
    """Say whether *force_reset* is about this task: it is inside a server, or nobody can know.

    What has ended well and is being fetched is never thrown away; neither is what a server that
    does not answer may still be executing.
    """
    if diagnosis.task.stage is Stage.COLLECTING:
        return False
    if diagnosis.running:
        return diagnosis.reason is not None or not spare_healthy
    if diagnosis.reason is Reason.ABSENT:
        return diagnosis.task.stage is Stage.SUBMITTING  # a person decides what nobody can know
    return diagnosis.reason is Reason.UNKNOWN_SERVER


def timeout_marks(diagnosis: Diagnosis) -> dict[str, Json]:
    """Return the fields that say so on a task which is stopped for its long execution."""
    minutes, limit = round(diagnosis.runtime_minutes, 1), round(diagnosis.limit_minutes, 1)
    message = recorded("timeout", minutes=minutes, limit=limit)
    return {"error_kind": TIMEOUT.kind, "error_message": message}


def evidence_of(diagnosis: Diagnosis) -> dict[str, Json]:
    """Return what the journal is to keep of a diagnosis."""
    return {
        "server": diagnosis.task.server,
        "sighting": diagnosis.how,
        "runtime_minutes": round(diagnosis.runtime_minutes, 1),
        "limit_minutes": diagnosis.limit_minutes,
    }
