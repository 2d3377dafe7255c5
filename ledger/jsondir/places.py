"""Where each record lies in a snapshot's file: what one that is not in memory costs there."""

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Self

import msgspec
from isal.isal_zlib import crc32

from ledger.errors import LedgerDamaged
from ledger.jsondir.journals import Kind, record_in_journals
from ledger.stored import StoredRecords

# A place is one whole number: mark, checksum, length and offset, from its lowest bits up.
_MARK_BITS = 0xFF
_CRC_AT, _LENGTH_AT, _OFFSET_AT = 8, 40, 72
_32_BITS = 0xFFFF_FFFF
#: Records within so much of the file are read in one go.
_TOGETHER_BYTES = 256 * 1024


def place_of(mark: int, encoded: bytes, offset: int) -> int:
    """Return the place of a record that lies at *offset*, as one number."""
    return mark | crc32(encoded) << _CRC_AT | len(encoded) << _LENGTH_AT | offset << _OFFSET_AT


def moved(place: int, bytes_on: int) -> int:
    """Return the place of the same record so many bytes further on."""
    return place + (bytes_on << _OFFSET_AT)


def end_of(place: int) -> int:
    """Return the offset behind the record's last byte."""
    return (place >> _OFFSET_AT) + (place >> _LENGTH_AT & _32_BITS)


class PlacedFile:
    """A snapshot's file that stays open, so that it may lose its name to a newer one."""

    def __init__(self, folder: Path, fd: int) -> None:
        self._folder = folder  # of the journals
        self._fd = fd  # ours from now on

    def __del__(self) -> None:
        os.close(self._fd)

    def read(self, kind: Kind, record_id: str, place: int) -> bytes:
        """Return the record that was written to *place*.

        It is held against its checksum: whoever writes over the file, or a bad sector, does not
        get wrong records believed. Nor does it keep rows from running: what was written there the
        journals hold as well, which takes longer. Raises LedgerDamaged when they do not.
        """
        size_bytes, crc = place >> _LENGTH_AT & _32_BITS, place >> _CRC_AT & _32_BITS
        encoded = self._bytes_at(place >> _OFFSET_AT, size_bytes)
        if crc32(encoded) == crc:
            return encoded
        return self._told(kind, record_id, size_bytes, crc)

    def read_together(self, kind: Kind, places: Mapping[str, int]) -> dict[str, bytes]:
        """Return records by their ids likewise, with one read if they lie close together."""
        begin = min(place >> _OFFSET_AT for place in places.values())
        size_bytes = max(map(end_of, places.values())) - begin
        if size_bytes > _TOGETHER_BYTES:
            return {each: self.read(kind, each, place) for each, place in places.items()}
        stretch = self._bytes_at(begin, size_bytes)
        found = {}
        for record_id, place in places.items():
            encoded = stretch[(place >> _OFFSET_AT) - begin : end_of(place) - begin]
            intact = crc32(encoded) == place >> _CRC_AT & _32_BITS
            found[record_id] = encoded if intact else self.read(kind, record_id, place)
        return found

    def _told(self, kind: Kind, record_id: str, size_bytes: int, crc: int) -> bytes:
        told = record_in_journals(self._folder, kind, record_id, size_bytes, crc)
        if told is None:
            raise LedgerDamaged(_damage(kind, record_id))
        return told

    def _bytes_at(self, offset: int, size_bytes: int) -> bytes:
        """Return what lies there; nothing when the disk cannot read it any more."""
        try:
            return os.pread(self._fd, size_bytes, offset)
        except OSError:
            return b""


def _damage(kind: Kind, record_id: str) -> str:
    if kind == "task":
        return f"task {record_id} is no more as it was written to the snapshot"
    return f"batch {record_id} is no more as it was written to the snapshot"


class Places(StoredRecords):
    """The records of one kind in a snapshot, read from its file by their places."""

    def __init__(self, kind: Kind, file: PlacedFile, places: dict[str, int]) -> None:
        self._kind: Kind = kind
        self._file = file
        self.places = places  # in the order of the file

    def __getitem__(self, record_id: str) -> bytes:
        return self._file.read(self._kind, record_id, self.places[record_id])

    def some(self, record_ids: Sequence[str]) -> Mapping[str, bytes]:
        """Return those of the records that are here."""
        places = {each: self.places[each] for each in record_ids if each in self.places}
        return self._file.read_together(self._kind, places) if places else {}

    def mark_of(self, record_id: str) -> int:
        """Return the record's mark."""
        return self.places[record_id] & _MARK_BITS

    def __iter__(self) -> Iterator[str]:
        return iter(self.places)

    def __len__(self) -> int:
        return len(self.places)

    def __contains__(self, record_id: object) -> bool:
        return record_id in self.places


class SnapshotPlaces(msgspec.Struct, frozen=True):
    """A snapshot by the places of its records."""

    tasks: Places
    batches: Places
    last_seq: int
    crc: int  # of the whole snapshot

    @classmethod
    def of(
        cls, path: Path, tasks: dict[str, int], batches: dict[str, int], last_seq: int, crc: int
    ) -> Self:
        """Return the places in the file *path*."""
        file = PlacedFile(path.parent, os.open(path, os.O_RDONLY | os.O_CLOEXEC))
        return cls(Places("task", file, tasks), Places("batch", file, batches), last_seq, crc)
