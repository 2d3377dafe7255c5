"""Records that a store keeps for us on its disk, so that they need not lie in memory."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence

import msgspec


class StoredRecords(Mapping[str, bytes], ABC):
    """Records of one kind, by id in the order of their acceptance; what is there never changes.

    An item is a record as JSON. Getting one costs one read of a file at most, and raises
    LedgerDamaged when the bytes there are no more what was written.
    """

    @abstractmethod
    def mark_of(self, record_id: str) -> int:
        """Return the record's mark (see ``Records``) without a read; raises KeyError."""

    def some(self, record_ids: Sequence[str]) -> Mapping[str, bytes]:
        """Return those of the records that are here, of neighbours with one read for all."""
        return {each: self[each] for each in record_ids if each in self}


class NoRecords(StoredRecords):
    """Those of a store that has none."""

    def mark_of(self, record_id: str) -> int:
        """There is none."""
        raise KeyError(record_id)

    def __getitem__(self, record_id: str) -> bytes:
        raise KeyError(record_id)

    def __contains__(self, record_id: object) -> bool:
        return False

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0


class WrittenDown(msgspec.Struct, frozen=True, kw_only=True):
    """The state as of ``last_seq``, which a store has written down.

    ``changed`` is what came since it last did so: records as JSON, None for one that went. It is
    given away with this.
    """

    last_seq: int
    tasks: StoredRecords
    batches: StoredRecords
    changed_tasks: dict[str, bytes | None]
    changed_batches: dict[str, bytes | None]
