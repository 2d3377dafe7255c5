"""Whether the family that a second-stage task needs has what it needs; pure."""

from typing import Protocol

from daemon.words.recorded import recorded
from ledger.status import Stage
from ledger.task import Task

_LOST = (Stage.FAILED, Stage.CANCELLED)


class Families(Protocol):
    """What must be known of families."""

    def newest_of_family(self, row_id: str, workflow_type: str) -> Task | None:
        """Return the family's newest task."""
        ...

    def newest_done_of_family(self, row_id: str, workflow_type: str) -> Task | None:
        """Return the family's newest done task."""
        ...


def dependency_met(families: Families, task: Task) -> bool:
    """Say whether *task* depends on nothing, or on a family with a done task."""
    needed = task.depends_on
    if needed is None:
        return True
    return families.newest_done_of_family(needed.row_id, needed.workflow_type) is not None


def why_blocked(families: Families, task: Task) -> str | None:
    """Return why the unmet dependency will not be met by itself, None while it may be.

    In English, as records have it.
    """
    needed = task.depends_on
    if needed is None or dependency_met(families, task):
        return None
    newest = families.newest_of_family(needed.row_id, needed.workflow_type)
    if newest is not None and newest.stage not in _LOST:
        return None
    if newest is None:
        return recorded("dependency_gone", type=needed.workflow_type)
    key = f"dependency_{newest.stage}"
    return recorded(key, type=needed.workflow_type, task=newest.task_id)
