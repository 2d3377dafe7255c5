"""The records of a snapshot by their places: what one that is not in memory costs there."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Self

import msgspec

from ledger.jsondir.journals import Kind
from ledger.jsondir.placed_file import PlacedFile
from ledger.jsondir.spots import Spots
from ledger.stored import StoredRecords


class Places(StoredRecords):
    """The records of one kind in a snapshot, read from its file by their spots."""

    def __init__(self, kind: Kind, file: PlacedFile, spots: Spots) -> None:
        self._kind: Kind = kind
        self._file = file
        self.spots = spots

    def __getitem__(self, record_id: str) -> bytes:
        return self._file.read(self._kind, record_id, self.spots[record_id])

    def some(self, record_ids: Sequence[str]) -> Mapping[str, bytes]:
        """Return those of the records that are here."""
        spots = {each: self.spots[each] for each in record_ids if each in self.spots}
        return self._file.read_together(self._kind, spots) if spots else {}

    def mark_of(self, record_id: str) -> int:
        """Return the record's mark."""
        return self.spots.mark_of(record_id)

    def __iter__(self) -> Iterator[str]:
        return iter(self.spots)

    def __len__(self) -> int:
        return len(self.spots)

    def __contains__(self, record_id: object) -> bool:
        return record_id in self.spots


class SnapshotPlaces(msgspec.Struct, frozen=True):
    """A snapshot by the places of its records."""

    tasks: Places
    batches: Places
    last_seq: int
    crc: int  # of the whole snapshot

    @classmethod
    def of(cls, path: Path, tasks: Spots, batches: Spots, last_seq: int, crc: int) -> Self:
        """Return the places in the file *path*."""
        file = PlacedFile.of(path)
        return cls(Places("task", file, tasks), Places("batch", file, batches), last_seq, crc)
