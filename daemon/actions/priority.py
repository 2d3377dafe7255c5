"""Putting the waiting tasks of a row before all others of their batch."""

from daemon.actions.plan import Plan, Said, View, planned
from ledger.status import Stage
from ledger.task import Task


def put_first(view: View, tasks: list[Task], *, at: str) -> Plan:
    """Give those of *tasks* that wait a higher priority than any other waiting one of their batch.

    Tasks that wait no longer stay as they are; when none waits, the answer says so.
    """
    waiting = [task for task in tasks if task.stage is Stage.WAITING]
    if not waiting:
        return planned("task.put_first", Said(key="action.none_waits"))
    own = {task.task_id for task in waiting}
    batch_id = waiting[0].batch_id
    others = (
        next((each for each in view.waiting(batch_id, kind) if each.task_id not in own), None)
        for kind in view.waiting_types(batch_id)
    )
    highest = max((each.priority for each in others if each is not None), default=None)
    priority = 0 if highest is None else highest + 1
    changed = [
        task.changed(at=at, priority=priority) for task in waiting if task.priority < priority
    ]
    key = "action.put_first" if changed else "action.is_first"
    return planned("task.put_first", Said(key=key, values={"priority": priority}), *changed)
