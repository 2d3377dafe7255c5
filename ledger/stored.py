"""Records that a store keeps for us on its disk, so that they need not lie in memory."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping

from ledger.status import Stage


class StoredTasks(Mapping[str, bytes], ABC):
    """Tasks as of ``last_seq``, by id in the order of their acceptance; it never changes.

    An item is a task as JSON. Getting one costs one read of a file at most, and raises
    LedgerDamaged when the bytes there are no more what was written.
    """

    last_seq: int

    @abstractmethod
    def stage_of(self, task_id: str) -> Stage:
        """Return the stage the task stands in, without a read; raises KeyError."""


class NoStoredTasks(StoredTasks):
    """Those of a store that has none."""

    last_seq = 0

    def stage_of(self, task_id: str) -> Stage:
        """There is none."""
        raise KeyError(task_id)

    def __getitem__(self, task_id: str) -> bytes:
        raise KeyError(task_id)

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0
