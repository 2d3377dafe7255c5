"""A new snapshot out of the one before and the changes since.

Lines that did not change are copied in long stretches: what it costs beside them is in proportion
to the changes, needs no memory, and never holds the interpreter for long.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec
import orjson
from isal.isal_zlib import crc32

from ledger.errors import LedgerDamaged
from ledger.jsondir.places import Places, end_of, moved, place_of
from ledger.jsondir.snapshot import Changes
from ledger.jsondir.snapshot_file import BATCHES, META, SEPARATOR, TASKS, SnapshotFile
from ledger.shelf import decode_keys
from ledger.state import Sections, empty_sections
from ledger.upgrade import FORMAT


class _BatchKey(msgspec.Struct, frozen=True):
    batch_id: str


_batch_keys = msgspec.json.Decoder(_BatchKey)


class Composition:
    """One snapshot in the making: its pieces, and when they were taken, where its tasks lie."""

    def __init__(self, changes: Changes, last_seq: int, at: str) -> None:
        self._changes = changes
        self._last_seq, self._written_at = last_seq, at
        self._places: dict[str, int] = {}
        self._crc = 0
        self._at = 0  # offset of the next piece
        self._separator = b""  # before the next line
        self.counters = empty_sections()[
            "counters"
        ]  # as of this snapshot, once all pieces were taken

    def anew(self) -> Iterator[bytes]:
        """Yield the snapshot that the changes make of an empty ledger."""
        return self._sealed(self._from_changes())

    def upon(self, path: Path, base: Places) -> Iterator[bytes]:
        """Yield the snapshot that the changes make of the one in *path*.

        Raises LedgerDamaged, at the latest at its end, when that is not the one *base* speaks of;
        what was yielded is then worth nothing.
        """
        return self._sealed(self._from_base(path, base))

    def places_in(self, path: Path) -> Places:
        """Return where the tasks lie in *path*, which has all the pieces."""
        return Places.of(path, self._places, self._last_seq, self._crc)

    def _sealed(self, pieces: Iterable[bytes]) -> Iterator[bytes]:
        for piece in pieces:
            self._crc = crc32(piece, self._crc)
            self._at += len(piece)
            yield piece
        yield b',"crc":"%08x"}\n' % self._crc

    def _from_changes(self) -> Iterator[bytes]:
        yield self._head()
        yield from self._tasks(dict(self._changes.tasks))
        yield BATCHES
        yield from _records((), self._changes.batches)
        yield META
        yield self._meta(empty_sections())

    def _from_base(self, path: Path, base: Places) -> Iterator[bytes]:
        yield self._head()
        with SnapshotFile(path) as file:
            changed = dict(self._changes.tasks)
            yield from self._tasks_of_base(file, base.places, changed)
            yield from self._tasks(changed)
            yield BATCHES
            batches = (encoded for _, encoded in file.batches())
            yield from _records(batches, self._changes.batches)
            yield META
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
        self._changes.apply_to_meta(sections)
        self.counters = sections.get("counters", {})
        lines = (b"%b:%b" % (orjson.dumps(name), orjson.dumps(sections[name])) for name in sections)
        return SEPARATOR.join(lines) + b"}"

    def _tasks_of_base(
        self, file: SnapshotFile, places: dict[str, int], changed: dict[str, bytes | None]
    ) -> Iterator[bytes]:
        """Yield the lines of the base with the changed ones in their place; these leave *changed*.

        Between two changed lines lies a stretch that is copied as it is, so many bytes further on.
        """
        begin = file.at
        bytes_on = self._at - begin
        last: int | None = None  # place of the stretch's last task
        for task_id, place in places.items():
            if task_id not in changed:
                self._places[task_id] = moved(place, bytes_on) if bytes_on else place
                last = place
                continue
            yield from self._stretch(file, begin, last)
            if (encoded := changed.pop(task_id)) is not None:
                yield self._task(task_id, encoded)
            begin, last = end_of(place) + len(SEPARATOR), None
            bytes_on = self._at + len(self._separator) - begin
        yield from self._stretch(file, begin, last)
        if places:
            for _ in file.stretch(end_of(place)):  # what was changed or left out at the end
                pass
            file.expect(b"\n")
        file.expect(BATCHES)

    def _stretch(self, file: SnapshotFile, begin: int, last: int | None) -> Iterator[bytes]:
        if last is None:
            return
        for _ in file.stretch(begin):  # read for the checksum only
            pass
        yield self._separator
        yield from file.stretch(end_of(last))
        self._separator = SEPARATOR

    def _tasks(self, tasks: dict[str, bytes | None]) -> Iterator[bytes]:
        for task_id, encoded in tasks.items():
            if encoded is not None:
                yield self._task(task_id, encoded)
        if self._places:
            yield b"\n"

    def _task(self, task_id: str, encoded: bytes) -> bytes:
        lead = self._separator + orjson.dumps(task_id) + b":"
        stage = decode_keys(encoded).stage
        self._places[task_id] = place_of(stage, encoded, self._at + len(lead))
        self._separator = SEPARATOR
        return lead + encoded


def _records(before: Iterable[bytes], changed: dict[str, bytes | None]) -> Iterator[bytes]:
    """Yield the batches with the changed ones in their place and the new ones behind.

    One by one: there may be as many as tasks.
    """
    separator = b""
    for batch_id, encoded in _as_they_stand(before, changed):
        yield b"%b%b:%b" % (separator, orjson.dumps(batch_id), encoded)
        separator = SEPARATOR
    if separator:
        yield b"\n"


def _as_they_stand(
    before: Iterable[bytes], changed: dict[str, bytes | None]
) -> Iterator[tuple[str, bytes]]:
    left = dict(changed)
    for encoded in before:
        batch_id = _batch_keys.decode(encoded).batch_id
        now = left.pop(batch_id, encoded)
        if now is not None:
            yield batch_id, now
    for batch_id, new in left.items():
        if new is not None:
            yield batch_id, new
