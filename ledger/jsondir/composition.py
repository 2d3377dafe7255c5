"""A new snapshot out of the one before and the changes since.

Lines that did not change are copied in long stretches: what it costs beside them is in proportion
to the changes, needs no memory, and never holds the interpreter for long.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

import orjson
from isal.isal_zlib import crc32

from ledger.batches import decode_batch_keys
from ledger.errors import LedgerDamaged
from ledger.jsondir.placed_file import Spot
from ledger.jsondir.places import SnapshotPlaces
from ledger.jsondir.snapshot import Changes
from ledger.jsondir.snapshot_file import BATCHES, META, SEPARATOR, TASKS, SnapshotFile
from ledger.jsondir.spots import Spots
from ledger.shelf import mark_of_encoded
from ledger.state import Sections, empty_sections
from ledger.upgrade import FORMAT

#: So many changed records that follow one another are one piece.
_RECORDS_AT_ONCE = 64


class _Section:
    """The records of one kind in a new snapshot: those that changed, and where all of them lie."""

    def __init__(
        self, changed: Mapping[str, bytes | None], mark_of: Callable[[bytes], int], end: bytes
    ) -> None:
        self.changed = dict(changed)
        self.mark_of = mark_of
        self.end = end  # what comes behind the records
        self.spots = Spots.none()
        self.separator = b""  # before the next record
        self._gathered: list[bytes] = []  # for the next piece
        self._size_bytes = 0  # of that

    def add(self, record_id: str, encoded: bytes, at: int) -> None:
        """Gather a changed record for the next piece, which will lie at offset *at*."""
        lead = self.separator + orjson.dumps(record_id) + b":"
        offset = at + self._size_bytes + len(lead)
        self.spots.put(record_id, self.mark_of(encoded), Spot.of(encoded, offset))
        self._gathered += (lead, encoded)
        self._size_bytes = offset + len(encoded) - at
        self.separator = SEPARATOR

    @property
    def is_full(self) -> bool:
        """Whether enough is gathered for a piece."""
        return len(self._gathered) >= 2 * _RECORDS_AT_ONCE

    def gathered(self) -> Iterator[bytes]:
        """Yield what was gathered as one piece, if there is anything."""
        if self._gathered:
            piece = b"".join(self._gathered)
            self._gathered, self._size_bytes = [], 0
            yield piece


class Composition:
    """One snapshot in the making: its pieces, and when they were taken, where its records lie."""

    def __init__(self, changes: Changes, last_seq: int, at: str) -> None:
        self._changes = changes
        self._last_seq, self._written_at = last_seq, at
        self._tasks = _Section(changes.tasks, mark_of_encoded, BATCHES)
        self._batches = _Section(changes.batches, _batch_mark, META)
        self._crc = 0
        self._at = 0  # offset of the next piece
        self.counters = empty_sections()[
            "counters"
        ]  # as of this snapshot, once all pieces were taken

    def anew(self) -> Iterator[bytes]:
        """Yield the snapshot that the changes make of an empty ledger."""
        return self._sealed(self._from_changes())

    def upon(self, path: Path, base: SnapshotPlaces) -> Iterator[bytes]:
        """Yield the snapshot that the changes make of the one in *path*.

        Raises LedgerDamaged, at the latest at its end, when that is not the one *base* speaks of;
        what was yielded is then worth nothing.
        """
        return self._sealed(self._from_base(path, base))

    def places_in(self, path: Path) -> SnapshotPlaces:
        """Return where the records lie in *path*, which has all the pieces."""
        tasks, batches = self._tasks.spots, self._batches.spots
        return SnapshotPlaces.of(path, tasks, batches, self._last_seq, self._crc)

    def _sealed(self, pieces: Iterable[bytes]) -> Iterator[bytes]:
        for piece in pieces:
            self._crc = crc32(piece, self._crc)
            self._at += len(piece)
            yield piece
        yield b',"crc":"%08x"}\n' % self._crc

    def _from_changes(self) -> Iterator[bytes]:
        yield self._head()
        yield from self._rest_of(self._tasks)
        yield from self._rest_of(self._batches)
        yield self._meta(empty_sections())

    def _from_base(self, path: Path, base: SnapshotPlaces) -> Iterator[bytes]:
        yield self._head()
        with SnapshotFile(path) as file:
            for section, before in ((self._tasks, base.tasks), (self._batches, base.batches)):
                yield from self._records_of_base(file, section, before.spots)
                yield from self._rest_of(section)
            sections = file.meta()
            if file.crc != base.crc:
                raise LedgerDamaged(f"{path.name} is another one than was written")
            yield self._meta(sections)

    def _head(self) -> bytes:
        return b'{"format":%d,"written_at":%b,"last_seq":%d,%b' % (
            FORMAT,
            orjson.dumps(self._written_at),
            self._last_seq,
            TASKS,
        )

    def _meta(self, sections: Sections) -> bytes:
        self._changes.apply_to_meta(sections, self._tasks.changed)  # all that the base has not
        self.counters = sections.get("counters", {})
        lines = (b"%b:%b" % (orjson.dumps(name), orjson.dumps(sections[name])) for name in sections)
        return SEPARATOR.join(lines) + b"}"

    def _records_of_base(
        self, file: SnapshotFile, section: _Section, before: Spots
    ) -> Iterator[bytes]:
        """Yield the lines of the base with the changed ones in their place; these are done then.

        Between two changed lines lies a stretch that is copied as it is, so many bytes further on.
        """
        changed, spots = section.changed, before.copy()
        section.spots = spots
        first, begin = 0, file.at  # of the stretch: its first record's number, its offset
        end_of_all = spots.end_of_last(range(spots.numbers_given))
        for number, record_id in spots.numbered(changed):
            if number > first:
                yield from section.gathered()
                yield from self._stretch(file, section, begin, range(first, number))
            begin = spots.end_of(number) + len(SEPARATOR)
            if (encoded := changed.pop(record_id)) is None:
                spots.remove(number)
            else:
                section.add(record_id, encoded, self._at)
                if section.is_full:
                    yield from section.gathered()
            first = number + 1
        yield from section.gathered()
        yield from self._stretch(file, section, begin, range(first, spots.numbers_given))
        if end_of_all is not None:
            for _ in file.stretch(end_of_all):  # what was changed or left out at the end
                pass
            file.expect(b"\n")
        file.expect(section.end)

    def _stretch(
        self, file: SnapshotFile, section: _Section, begin: int, numbers: range
    ) -> Iterator[bytes]:
        """Yield the lines of these numbers as the base has them, the first at offset *begin*."""
        if (end := section.spots.end_of_last(numbers)) is None:
            return
        section.spots.move(numbers, self._at + len(section.separator) - begin)
        for _ in file.stretch(begin):  # read for the checksum only
            pass
        yield section.separator
        yield from file.stretch(end)
        section.separator = SEPARATOR

    def _rest_of(self, section: _Section) -> Iterator[bytes]:
        """Yield the records that are new, and what comes behind them all."""
        for record_id, encoded in section.changed.items():
            if encoded is not None:
                section.add(record_id, encoded, self._at)
                if section.is_full:
                    yield from section.gathered()
        yield from section.gathered()
        if section.spots:
            yield b"\n"
        yield section.end


def _batch_mark(encoded: bytes) -> int:
    return decode_batch_keys(encoded).mark
