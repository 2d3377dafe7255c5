"""What a finding calls for: settled from evidence, reset by force, or left alone. Pure."""

from daemon.retrying import TIMEOUT
from daemon.upkeep.findings import Finding, Reason
from daemon.words import Words
from ledger.status import Stage
from ledger.task import Json


def is_lost(finding: Finding) -> bool:
    """Say whether the task is to be settled from evidence, without anybody's force.

    Not one that waits for a person: each sweep would back the ledger up for nothing.
    """
    if finding.reason is Reason.ENDED:
        return True
    return finding.reason is Reason.ABSENT and finding.task.blocked_by is None


def is_forced(finding: Finding, *, spare_healthy: bool) -> bool:
    """Say whether *force_reset* is about this task: it is inside a server, or nobody can know.

    What has ended well and is being fetched is never thrown away; neither is what a server that
    does not answer may still be executing.
    """
    if finding.task.stage is Stage.COLLECTING:
        return False
    if finding.running:
        return finding.reason is not None or not spare_healthy
    if finding.reason is Reason.ABSENT:
        return finding.task.stage is Stage.SUBMITTING  # a person decides what nobody can know
    return finding.reason is Reason.UNKNOWN_SERVER


def timeout_marks(finding: Finding, words: Words) -> dict[str, Json]:
    """Return the fields that say so on a task which is stopped for its long execution."""
    minutes, limit = round(finding.runtime_minutes, 1), round(finding.limit_minutes, 1)
    message = words("stuck.timeout", minutes=minutes, limit=limit)
    return {"error_kind": TIMEOUT.kind, "error_message": message}


def evidence_of(finding: Finding) -> dict[str, Json]:
    """Return what the journal is to keep of a finding."""
    return {
        "server": finding.task.server,
        "sighting": finding.how,
        "runtime_minutes": round(finding.runtime_minutes, 1),
        "limit_minutes": finding.limit_minutes,
    }
