"""A snapshot's file, read record by record."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Self

import msgspec
from isal.isal_zlib import crc32

from ledger.errors import LedgerDamaged
from ledger.jsondir.journals import Kind, record_in_journals

#: Records within so much of the file are read in one go.
_TOGETHER_BYTES = 256 * 1024
#: Who reads a record that lies behind the one before, so near, is given what follows as well: a
#: read has the interpreter go to another thread.
_NEAR_BYTES, _AHEAD_BYTES = 4 * 1024, 64 * 1024


class Spot(msgspec.Struct, frozen=True, gc=False):
    """Where a record lies, and its checksum."""

    offset: int
    size_bytes: int
    crc: int

    @classmethod
    def of(cls, encoded: bytes, offset: int) -> Self:
        """Return the spot of a record that lies at *offset*."""
        return cls(offset, len(encoded), crc32(encoded))

    @property
    def end(self) -> int:
        """The offset behind the record's last byte."""
        return self.offset + self.size_bytes


class PlacedFile:
    """A snapshot's file that stays open, so that it may lose its name to a newer one."""

    def __init__(self, folder: Path, fd: int) -> None:
        self._folder = folder  # of the journals
        self._fd = fd  # ours from now on
        self._ahead, self._ahead_at = b"", 0  # what lies from an offset on
        self._read_to = 0  # where what was read last ends

    @classmethod
    def of(cls, path: Path) -> Self:
        """Open the file *path*."""
        return cls(path.parent, os.open(path, os.O_RDONLY | os.O_CLOEXEC))

    def __del__(self) -> None:
        os.close(self._fd)

    def read(self, kind: Kind, record_id: str, spot: Spot) -> bytes:
        """Return the record that was written to *spot*.

        It is held against its checksum: whoever writes over the file, or a bad sector, does not
        get wrong records believed. Nor does it keep rows from running: what was written there the
        journals hold as well, which takes longer. Raises LedgerDamaged when they do not.
        """
        encoded = self._bytes_at(spot.offset, spot.size_bytes)
        return encoded if crc32(encoded) == spot.crc else self._told(kind, record_id, spot)

    def read_together(self, kind: Kind, spots: Mapping[str, Spot]) -> dict[str, bytes]:
        """Return records by their ids likewise, with one read if they lie close together."""
        begin = min(spot.offset for spot in spots.values())
        size_bytes = max(spot.end for spot in spots.values()) - begin
        if size_bytes > _TOGETHER_BYTES:
            return {each: self.read(kind, each, spot) for each, spot in spots.items()}
        stretch = self._from_disk(begin, size_bytes)
        found = {}
        for record_id, spot in spots.items():
            encoded = stretch[spot.offset - begin : spot.end - begin]
            intact = crc32(encoded) == spot.crc
            found[record_id] = encoded if intact else self.read(kind, record_id, spot)
        return found

    def _told(self, kind: Kind, record_id: str, spot: Spot) -> bytes:
        told = record_in_journals(self._folder, kind, record_id, spot.size_bytes, spot.crc)
        if told is None:
            raise LedgerDamaged(_damage(kind, record_id))
        return told

    def _bytes_at(self, offset: int, size_bytes: int) -> bytes:
        """Return what lies there, or lay there when what lies before it was read.

        Nothing when the disk cannot read it any more.
        """
        is_next = 0 <= offset - self._read_to < _NEAR_BYTES
        self._read_to = offset + size_bytes
        if not is_next:
            return self._from_disk(offset, size_bytes)
        begin = offset - self._ahead_at
        if begin < 0 or begin + size_bytes > len(self._ahead):
            self._ahead, self._ahead_at = self._from_disk(offset, _AHEAD_BYTES), offset
            begin = 0
            if size_bytes > len(self._ahead):  # it is large, or what follows it cannot be read
                return self._from_disk(offset, size_bytes)
        return self._ahead[begin : begin + size_bytes]

    def _from_disk(self, offset: int, size_bytes: int) -> bytes:
        """Return what lies there; nothing when the disk cannot read it any more."""
        try:
            return os.pread(self._fd, size_bytes, offset)
        except OSError:
            return b""


def _damage(kind: Kind, record_id: str) -> str:
    if kind == "task":
        return f"task {record_id} is no more as it was written to the snapshot"
    return f"batch {record_id} is no more as it was written to the snapshot"
