"""``archive/fingerprints.jsonl``: which rows were archived, known without any memory a row.

A line for each fingerprint, in order: its first digits, as a JSON string. They are taken from the
indexes of archived tasks. The last line tells of which bytes of them the file was made: while that
is so to the last byte it knows all that they tell, otherwise they are read again. A file that is
not whole is made again; one that is whole never forgets, even when a month is gone: no row is new
twice.
"""

import os
import weakref
from array import array
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import BinaryIO

import msgspec
from isal.isal_zlib import crc32

from ledger.errors import LedgerDamaged
from ledger.fingerprints import digest_of
from ledger.jsondir.archive_index import blocks_of, fingerprints_in, not_as_written
from ledger.jsondir.files import Disk
from ledger.jsondir.journals import ARCHIVE

NAME = "fingerprints.jsonl"
#: Of one row: two quotes, the digits, and the end of the line.
_LINE_BYTES = len(b'""\n') + 32
#: Rows whose fingerprints begin with the same digits are a group, read at once: of a hundred
#: thousand rows some 25.
_LEADING_DIGITS = 3
_GROUPS = 16**_LEADING_DIGITS
#: So much of a file is read at a time: whole lines of this one.
_BLOCK_BYTES = 2048 * _LINE_BYTES
#: So many rows are put in at a time, which takes 5 MB; with fewer, making the file anew takes long.
_PORTION_ROWS = 25_000
#: The last line is shorter: it has 60 bytes for each month.
_PROOF_BYTES = 256 * 1024


class Covered(msgspec.Struct, frozen=True):
    """The beginning of an index, which was read."""

    size_bytes: int = 0
    checksum: int = 0

    def and_then(self, lines: bytes) -> "Covered":
        """Return it with what follows."""
        return Covered(self.size_bytes + len(lines), crc32(lines, self.checksum))


class _Proof(msgspec.Struct, frozen=True):
    """The last line: what the others are, and what they were made of."""

    rows: int
    checksum: int
    made_of: dict[str, Covered]


_proofs = msgspec.json.Decoder(_Proof)


class ArchivedRows:
    """The rows in the file as it was when opened; to ask for one takes one read of it.

    The file may be replaced or removed meanwhile. Asking raises LedgerDamaged when its bytes are
    no longer what they were, or OSError: then nobody is told that a row is new.
    """

    def __init__(self, file: BinaryIO | None = None) -> None:
        self.made_of: dict[str, Covered] = {}
        self._ends = array("Q", bytes(8 * _GROUPS))  # of each group, in lines
        self._checksums = array("Q", bytes(8 * _GROUPS))
        self._fd = -1
        if file is not None:
            self._fd = os.dup(file.fileno())
            weakref.finalize(self, os.close, self._fd)
            self._learn(file)

    def __contains__(self, fingerprint: str) -> bool:
        if not len(self):
            return False
        line = _line(fingerprint)
        return line in self.group(_group_of(line))

    def __len__(self) -> int:
        return self._ends[-1]

    def group(self, number: int) -> bytes:
        """Return the lines of a group, in order."""
        first = self._ends[number - 1] if number else 0
        size_bytes = (self._ends[number] - first) * _LINE_BYTES
        lines = os.pread(self._fd, size_bytes, first * _LINE_BYTES) if size_bytes else b""
        if crc32(lines) != self._checksums[number]:
            raise not_as_written(NAME)
        return lines

    def _learn(self, file: BinaryIO) -> None:
        """Note where each group lies; raises LedgerDamaged when the file is not whole."""
        proof = _proof_of(file)
        size_bytes, line = proof.rows * _LINE_BYTES, 0
        if _checksum_of(file, size_bytes) != proof.checksum:
            raise not_as_written(NAME)
        for lines in _blocks(file, size_bytes):
            for group, of_group in _by_group(lines):
                line += len(of_group) // _LINE_BYTES
                self._ends[group] = line
                self._checksums[group] = crc32(of_group, self._checksums[group])
        for group in range(1, _GROUPS):
            self._ends[group] = self._ends[group] or self._ends[group - 1]
        self.made_of = proof.made_of


def catch_up(folder: Path, disk: Disk, *, forget_gone: bool = False) -> ArchivedRows:
    """Return what knows all rows that the indexes in *folder* tell of, or ever told of.

    The file is written when they are others than it was made of. That one of them is gone stays
    on record (``gone_of``), unless *forget_gone*. Needs the lock. Raises OSError, LedgerDamaged. A
    crash leaves the file as it was, or whole.
    """
    path = folder / ARCHIVE / NAME
    indexes = {index.name: index for index in path.parent.glob("*.index.jsonl")}
    rows = _read(path)
    made_of = {
        name: covered
        for name, covered in rows.made_of.items()
        if (_begins_so(indexes[name], covered) if name in indexes else not forget_gone)
    }
    new = set[bytes]()
    for name, index in indexes.items():
        known = made_of.get(name, Covered())
        for lines in blocks_of(index, known.size_bytes):
            known = made_of[name] = known.and_then(lines + b"\n")
            new.update(map(_line, fingerprints_in(lines, name)))
            if len(new) >= _PORTION_ROWS:
                rows = _write(path, disk, rows, new, made_of)
                new.clear()
    return rows if made_of == rows.made_of else _write(path, disk, rows, new, made_of)


def gone_indexes(folder: Path) -> list[str]:
    """Return the names of those that the file was made of and that are gone; reads only."""
    return gone_of(_read(folder / ARCHIVE / NAME), folder)


def gone_of(rows: ArchivedRows, folder: Path) -> list[str]:
    """Return the names of the indexes in *folder* that told of some of *rows* and are gone."""
    return sorted(name for name in rows.made_of if not (folder / ARCHIVE / name).exists())


def _read(path: Path) -> ArchivedRows:
    """Return the rows of a file that is whole; of another one, or of none, no rows."""
    try:
        with path.open("rb") as file:
            return ArchivedRows(file)
    except (FileNotFoundError, LedgerDamaged):
        return ArchivedRows()


def _begins_so(index: Path, covered: Covered) -> bool:
    with index.open("rb") as file:
        return _checksum_of(file, covered.size_bytes) == covered.checksum


def _write(
    path: Path, disk: Disk, rows: ArchivedRows, new: Collection[bytes], made_of: dict[str, Covered]
) -> ArchivedRows:
    disk.write_whole("archived_rows", path, _merged(rows, new, made_of))
    disk.take_place("archived_rows", path)
    with path.open("rb") as file:
        return ArchivedRows(file)


def _merged(
    rows: ArchivedRows, new: Collection[bytes], made_of: dict[str, Covered]
) -> Iterator[bytes]:
    """Yield the file's content, group by group."""
    added: defaultdict[int, set[bytes]] = defaultdict(set)
    for line in new:
        added[_group_of(line)].add(line)
    count, checksum = 0, 0
    for group in range(_GROUPS):
        lines = rows.group(group)
        if group in added:
            lines = b"".join(sorted(added[group].union(lines.splitlines(keepends=True))))
        count, checksum = count + len(lines) // _LINE_BYTES, crc32(lines, checksum)
        yield lines
    yield msgspec.json.encode(_Proof(count, checksum, made_of)) + b"\n"


def _line(fingerprint: str) -> bytes:
    return b'"%b"\n' % digest_of(fingerprint).hex().encode()


def _group_of(lines: bytes, at: int = 0) -> int:
    return int(lines[at + 1 : at + 1 + _LEADING_DIGITS], 16)


def _by_group(lines: bytes) -> Iterator[tuple[int, bytes]]:
    """Part lines that are in order."""
    places = range(0, len(lines), _LINE_BYTES)
    first = 0
    while first < len(places):
        group = _group_of(lines, places[first])
        end = bisect_right(places, group, lo=first, key=lambda at: _group_of(lines, at))
        yield group, lines[places[first] : end * _LINE_BYTES]
        first = end


def _proof_of(file: BinaryIO) -> _Proof:
    """Return the last line; raises LedgerDamaged when there is none, or the others do not fit."""
    file_bytes = file.seek(0, os.SEEK_END)
    file.seek(max(0, file_bytes - _PROOF_BYTES))
    line = file.read().removesuffix(b"\n").rpartition(b"\n")[2] + b"\n"
    try:
        proof = _proofs.decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise not_as_written(NAME) from error
    if proof.rows * _LINE_BYTES + len(line) != file_bytes:
        raise not_as_written(NAME)
    return proof


def _checksum_of(file: BinaryIO, size_bytes: int) -> int:
    """Return it of the file's beginning."""
    checksum = 0
    for block in _blocks(file, size_bytes):
        checksum = crc32(block, checksum)
    return checksum


def _blocks(file: BinaryIO, size_bytes: int) -> Iterator[bytes]:
    """Yield the file's beginning in whole lines of this one; less when it is shorter."""
    file.seek(0)
    while size_bytes and (block := file.read(min(size_bytes, _BLOCK_BYTES))):
        yield block
        size_bytes -= len(block)
