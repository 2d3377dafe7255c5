"""The tasks that were done last, as far as the order of their acceptance tells."""

from collections.abc import Iterator

from ledger.index import Index
from ledger.status import Stage
from ledger.task import Task


def newest_done(index: Index, most: int) -> Iterator[Task | None]:
    """Yield *most* tasks that are done at most, the one that was accepted last first.

    Of the newest batch before those of the one before it. None for each that is passed over, since
    it is not done: its record is not read, but the loop may want to go on. Commits may happen
    meanwhile.
    """
    left = most
    for batch_id in reversed(index.batch_ids()):
        for task_id in reversed(index.task_ids(batch_id)):
            if not left:
                return
            is_done = index.stage_of(task_id) is Stage.DONE
            task = index.find_task(task_id) if is_done else None
            left -= task is not None
            yield task
