"""A snapshot's file read from its first byte to its last, once, with its checksum."""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import msgspec
import orjson
from isal.isal_zlib import crc32

from ledger.errors import LedgerDamaged
from ledger.jsondir.files import PIECE_BYTES
from ledger.jsondir.journal import CRC_BYTES
from ledger.state import Sections
from ledger.upgrade import FORMAT

BATCHES = b'},"batches":{\n'
META = b'},"meta":{\n'
TASKS = b'"tasks":{\n'
SEPARATOR = b",\n"

_KEY = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*":')


class _Head(msgspec.Struct, frozen=True):
    last_seq: int


_heads = msgspec.json.Decoder(_Head)


class UnknownLayout(LedgerDamaged):
    """It does not begin as this version writes it: damaged, or of an older format."""


class SnapshotFile:
    """Lines and stretches of bytes, in their order; ``meta`` proves that all was as written."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.at = 0  # offset of what is read next
        self.crc = 0  # of what was read; of the whole snapshot once ``meta`` has proven it

    def __enter__(self) -> Self:
        self._file = self.path.open("rb", buffering=PIECE_BYTES)
        try:
            self.head = self._next()
        except LedgerDamaged:
            self._file.close()
            raise
        if not (self.head.startswith(b'{"format":%d,' % FORMAT) and self.head.endswith(TASKS)):
            self._file.close()
            raise UnknownLayout(f"{self.path.name} begins in an unknown way")
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def descriptor(self) -> int:
        """Return a new descriptor of the file, for reads at offsets; the caller's to close."""
        return os.dup(self._file.fileno())

    @property
    def last_seq(self) -> int:
        """The seq of the newest change the snapshot holds, as its first line says."""
        return _heads.decode(self.head + b"}}").last_seq

    def tasks(self) -> Iterator[tuple[int, bytes]]:
        """Yield each task as JSON, with its offset."""
        return self._records(BATCHES)

    def batches(self) -> Iterator[tuple[int, bytes]]:
        """Yield each batch likewise; what comes before them was read."""
        return self._records(META)

    def meta(self) -> Sections:
        """Return the meta part; raises LedgerDamaged when anything is not as it was written."""
        rest = self._file.read()
        body = rest[: -CRC_BYTES - 1]
        self.crc = crc32(body, self.crc)
        if b',"crc":"%08x"}\n' % self.crc != rest[-CRC_BYTES - 1 :]:
            raise LedgerDamaged(f"{self.path.name}: the checksum does not fit")
        sections: Sections = orjson.loads(b"{" + body)
        return sections

    def stretch(self, end: int) -> Iterator[bytes]:
        """Yield what lies before the offset *end*, in pieces."""
        while self.at < end:
            piece = self._file.read(min(PIECE_BYTES, end - self.at))
            if not piece:
                raise LedgerDamaged(f"{self.path.name} ends too early")
            self._passed(piece)
            yield piece

    def expect(self, wanted: bytes) -> None:
        """Read *wanted*; raises LedgerDamaged when something else is there."""
        found = self._file.read(len(wanted))
        if found != wanted:
            raise LedgerDamaged(f"{self.path.name} is not laid out as it was")
        self._passed(found)

    def _records(self, end: bytes) -> Iterator[tuple[int, bytes]]:
        while (line := self._next()) != end:
            key = _KEY.match(line)
            if key is None:
                raise LedgerDamaged(f"{self.path.name}: a line has no key")
            begin = key.end()
            yield self.at - len(line) + begin, line[begin:].rstrip(SEPARATOR)

    def _next(self) -> bytes:
        line = self._file.readline()
        if not line:
            raise LedgerDamaged(f"{self.path.name} ends too early")
        self._passed(line)
        return line

    def _passed(self, data: bytes) -> None:
        self.crc = crc32(data, self.crc)
        self.at += len(data)
