"""The ids of a batch's tasks in the order of their acceptance."""

from collections import Counter
from collections.abc import Container


class Acceptance:
    """Ids by batch; of those that were archived some stay until most of a batch's have gone."""

    def __init__(self, present: Container[str]) -> None:
        self._present = present
        self._ids: dict[str, list[str]] = {}
        self._archived: Counter[str] = Counter()  # of the ids there

    def accept(self, batch_id: str, task_id: str) -> None:
        """Take in a new task."""
        self._ids.setdefault(batch_id, []).append(task_id)

    def forget(self, batch_id: str, task_id: str) -> None:
        """Take note that a task will be present no more; nothing stays of a batch without any."""
        self._archived[batch_id] += 1
        ids = self._ids[batch_id]
        if self._archived[batch_id] * 2 <= len(ids):
            return
        left = [each for each in self.of(batch_id) if each != task_id]
        del self._archived[batch_id], self._ids[batch_id]
        if left:
            self._ids[batch_id] = left

    def __contains__(self, batch_id: str) -> bool:
        """Say whether the batch has tasks that are present."""
        return batch_id in self._ids

    def of(self, batch_id: str) -> list[str]:
        """Return the ids of the batch's tasks that are present, oldest first."""
        ids = self._ids.get(batch_id, [])
        if not self._archived[batch_id]:
            return list(ids)
        return [task_id for task_id in ids if task_id in self._present]
