"""A row of a table that is to be told something, and when; pure."""

from collections.abc import Sequence

import msgspec

from ledger.status import OPEN_STAGES, Stage
from ledger.task import Task

#: News that come together are told together; of a beginning nobody needs to know at once.
GATHER_SECONDS, PROGRESS_SECONDS = 0.5, 30.0


class Due(msgspec.Struct, frozen=True):
    """A row with news."""

    row_id: str
    workflow_types: tuple[str, ...]
    made_at: str  # of the newest task with news: a row that was run anew has two row ids
    at: float  # monotonic; when it is to be told
    task_ids: frozenset[str]  # whose records say that the table must be told
    archived: tuple[Task, ...] = ()  # what is shown of a row whose tasks are not in the state

    @classmethod
    def of(cls, task: Task, types: tuple[str, ...], now: float) -> "Due":
        """Return what the news of *task* make due."""
        on_its_way = task.stage in OPEN_STAGES and task.stage is not Stage.WAITING
        at = now + (PROGRESS_SECONDS if on_its_way else GATHER_SECONDS)
        return cls(task.row_id, types, task.created_at, at, frozenset({task.task_id}))

    @classmethod
    def again(cls, tasks: Sequence[Task], types: tuple[str, ...], now: float) -> "Due":
        """Return what is due when the row of *tasks* must be told all it was told before."""
        newest, ids = tasks[-1], frozenset(task.task_id for task in tasks)
        return cls(newest.row_id, types, newest.created_at, now + GATHER_SECONDS, ids)

    @classmethod
    def from_archive(cls, tasks: Sequence[Task], types: tuple[str, ...], now: float) -> "Due":
        """Return the same of a row whose tasks are archived: no record tells of it."""
        newest = tasks[-1]
        at = now + GATHER_SECONDS
        return cls(newest.row_id, types, newest.created_at, at, frozenset(), tuple(tasks))

    def with_news(self, other: "Due") -> "Due":
        """Return both as one; a newer run of the row is what is shown."""
        newer = other if other.made_at >= self.made_at else self
        at, ids = min(self.at, other.at), self.task_ids | other.task_ids
        return Due(newer.row_id, newer.workflow_types, newer.made_at, at, ids, newer.archived)
