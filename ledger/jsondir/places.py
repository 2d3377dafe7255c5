"""Where each task lies in a snapshot's file: what one that is not in process costs in memory."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Self

from isal.isal_zlib import crc32

from ledger.errors import LedgerDamaged
from ledger.jsondir.journals import record_in_journals
from ledger.status import Stage
from ledger.stored import StoredTasks

_STAGES = tuple(Stage)
_NUMBER_OF = {stage: number for number, stage in enumerate(_STAGES)}

# A place is one whole number: stage, checksum, length and offset, from its lowest bits up.
_CRC_AT, _LENGTH_AT, _OFFSET_AT = 8, 40, 72
_32_BITS = 0xFFFF_FFFF


def place_of(stage: Stage, encoded: bytes, offset: int) -> int:
    """Return the place of a task that lies at *offset*, as one number."""
    return (
        _NUMBER_OF[stage]
        | crc32(encoded) << _CRC_AT
        | len(encoded) << _LENGTH_AT
        | offset << _OFFSET_AT
    )


def moved(place: int, bytes_on: int) -> int:
    """Return the place of the same task so many bytes further on."""
    return place + (bytes_on << _OFFSET_AT)


def end_of(place: int) -> int:
    """Return the offset behind the task's last byte."""
    return (place >> _OFFSET_AT) + (place >> _LENGTH_AT & _32_BITS)


class Places(StoredTasks):
    """The tasks of one snapshot, read from its file by their places.

    The file stays open, so it may lose its name to a newer one. Each task read is held against
    its checksum: whoever writes over the file, or a bad sector, does not get wrong records
    believed. Nor does it keep rows from running: what was written there the journals hold as well,
    which takes longer.
    """

    def __init__(
        self, folder: Path, fd: int, places: dict[str, int], last_seq: int, crc: int
    ) -> None:
        self._folder = folder  # of the journals
        self._fd = fd  # ours from now on
        self.places = places  # in the order of the file
        self.last_seq = last_seq
        self.crc = crc  # of the whole snapshot

    @classmethod
    def of(cls, path: Path, places: dict[str, int], last_seq: int, crc: int) -> Self:
        """Return the places in the file *path*."""
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        return cls(path.parent, fd, places, last_seq, crc)

    def __del__(self) -> None:
        os.close(self._fd)

    def __getitem__(self, task_id: str) -> bytes:
        place = self.places[task_id]
        size_bytes, crc = place >> _LENGTH_AT & _32_BITS, place >> _CRC_AT & _32_BITS
        encoded = _read(self._fd, size_bytes, place >> _OFFSET_AT)
        if crc32(encoded) == crc:
            return encoded
        if (told := record_in_journals(self._folder, task_id, size_bytes, crc)) is not None:
            return told
        raise LedgerDamaged(f"task {task_id} is no more as it was written to the snapshot")

    def stage_of(self, task_id: str) -> Stage:
        """Return the stage the task stands in."""
        return _STAGES[self.places[task_id] & 0xFF]

    def __iter__(self) -> Iterator[str]:
        return iter(self.places)

    def __len__(self) -> int:
        return len(self.places)

    def __contains__(self, task_id: object) -> bool:
        return task_id in self.places


def _read(fd: int, size_bytes: int, offset: int) -> bytes:
    """Return what lies there; nothing when the disk cannot read it any more."""
    try:
        return os.pread(fd, size_bytes, offset)
    except OSError:
        return b""
