"""Folds changes into ledger.json and puts closed journals into the archive, off the commit path.

Everything here may be killed at any instant and simply be done again: until the new snapshot has
its name, the one before and the journals hold the state.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import TypeAlias, TypeVar

import msgspec
from isal import isal_zlib

from ledger.errors import LedgerDamaged
from ledger.jsondir import snapshot
from ledger.jsondir.composition import Composition
from ledger.jsondir.files import PIECE_BYTES, Disk, corrupt_name, temporary
from ledger.jsondir.journal import decode
from ledger.jsondir.journals import (
    ARCHIVE,
    ArchivedIndex,
    JournalPlace,
    all_journals,
    indexes,
    live_journals,
)
from ledger.jsondir.loading import load
from ledger.jsondir.mark import HighWater
from ledger.jsondir.open_journal import Told
from ledger.jsondir.places import SnapshotPlaces
from ledger.jsondir.snapshot import Changes
from ledger.task import Json
from ledger.timestamps import to_timestamp

T = TypeVar("T")

#: Is told what went wrong, by its name in the log, where the work goes on all the same.
Warn: TypeAlias = Callable[[str, Exception], None]

#: How a line about a task begins to tell of it; records begin with their id.
_TASK_MARK = b',"task":{"task_id":"'
#: So many lines are read, or ids looked at, before the time is: both take a tenth of a millisecond.
_LINES_AT_ONCE, _IDS_AT_ONCE = 64, 512
#: So long at most is worked without a rest, and so long the rest is.
_BUSY_SECONDS, _REST_SECONDS = 0.0001, 0.0001
#: What zlib takes for "the largest window, and a gzip header".
_GZIP_WINDOW = 16 + isal_zlib.MAX_WBITS
#: Journals repeat themselves: 15 to 1, in a fifth of the time that zlib's quickest level takes from
#: those who commit meanwhile; the levels above gain nothing.
_GZIP_LEVEL = 1


def _keep_quiet(_event: str, _error: Exception) -> None:
    """Say nothing: a command has no log, and the next daemon finds the same."""


class Compactor:
    """Writes snapshots and archives journals; used by one thread at a time."""

    def __init__(
        self,
        folder: Path,
        disk: Disk,
        places: SnapshotPlaces | None = None,
        warn: Warn = _keep_quiet,
    ) -> None:
        self.folder = folder
        self._warn = warn
        self._disk = disk
        self._given = HighWater(folder, disk)
        self._places = places  # of what is in ledger.json
        self.snapshot_bytes = _size_bytes(folder / snapshot.CURRENT)

    def write_snapshot(self, changes: Changes, last_seq: int, at: str) -> SnapshotPlaces:
        """Make ledger.json the state as of *last_seq*; the one before stays as the previous.

        Returns where its records lie. *changes* are all since the snapshot before, or since the
        empty ledger. Raises OSError, and LedgerDamaged when the one before is not as it was
        written and the state cannot be had from the rest either.
        """
        current = self.folder / snapshot.CURRENT
        try:
            places = self._write(current, changes, last_seq, at)
        except (LedgerDamaged, FileNotFoundError) as error:
            self._warn("snapshot.found_damaged", error)
            places = self._rewrite(current, last_seq, at)
        self._disk.take_place("snapshot", current, keep=self.folder / snapshot.PREVIOUS)
        self._places = places
        self.snapshot_bytes = _size_bytes(current)
        return places

    def _write(self, current: Path, changes: Changes, last_seq: int, at: str) -> SnapshotPlaces:
        composition = Composition(changes, last_seq, at)
        if self._places is None or changes.whole:
            pieces = composition.anew()
        else:
            pieces = composition.upon(current, self._places)
        self._disk.write_whole("snapshot", current, _giving_way(pieces))
        self.note_given(last_seq, composition.counters)
        return composition.places_in(temporary(current))

    def _rewrite(self, current: Path, last_seq: int, at: str) -> SnapshotPlaces:
        """Write the state anew from the snapshot before and the journals."""
        if current.exists():
            self.set_aside(current, at)
        state = load(self.folder, thorough=False, up_to=last_seq).state
        if state.damage or state.last_seq != last_seq:
            raise LedgerDamaged("; ".join(state.damage) or "the newest changes are missing")
        return self._write(current, Changes.of(state), last_seq, at)

    def note_given(self, last_seq: int, counters: Mapping[str, Json]) -> None:
        """Have the mark beside the folder say, when it is due, how far ids and changes went.

        Without the mark nothing that is here is lost.
        """
        try:
            self._given.reach(last_seq, counters)
        except OSError as error:
            self._warn("mark.not_written", error)

    def settle_mark(self) -> None:
        """Have the mark say exactly what was noted: no more is given for the time being."""
        try:
            self._given.write()
        except OSError as error:
            self._warn("mark.not_written", error)

    def set_aside(self, path: Path, at: str) -> str:
        """Rename a damaged file to ``<name>.corrupt-<time>`` and return that name."""
        name = corrupt_name(path, at)
        self._disk.set_aside(path, name)
        return name

    def archive_journals(self, active: JournalPlace, told: Mapping[int, Told | None]) -> None:
        """Gzip the journals before *active*; the snapshot holds everything of theirs.

        *told* is by their first seq; a journal that is missing there is read.
        """
        for place in live_journals(self.folder):
            if place.first_seq < active.first_seq:
                self._archive(place, told.get(place.first_seq))

    def _archive(self, place: JournalPlace, told: Told | None) -> None:
        self._disk.make_folder(self.folder / ARCHIVE)
        index = msgspec.json.encode(index_of(place, told))
        for path, pieces in ((place.index, [index]), (place.archived, _gzipped(place.live))):
            self._disk.write_whole("archive", path, pieces)
            self._disk.take_place("archive", path)
        self._disk.remove("archive", place.live)


def _size_bytes(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def forget_history(folder: Path, disk: Disk, now: datetime, history_days: float) -> int:
    """Remove archived journals that ended before *now* - *history_days*; returns how many."""
    limit = to_timestamp(now - timedelta(days=history_days))
    removed = 0
    for place in all_journals(folder):
        if place.live.exists() or not place.index.exists():
            continue
        if indexes.decode(place.index.read_bytes()).last_at < limit:
            disk.remove("history", place.archived)
            disk.remove("history", place.index)
            removed += 1
    return removed


def index_of(place: JournalPlace, told: Told | None) -> ArchivedIndex:
    """Return which lines of a journal are about which task; without *told* it is read."""
    if told is None:
        return _found_in(place)
    tasks: dict[str, list[int]] = {}
    for number, task_id in enumerate(_giving_way(told.task_ids, _IDS_AT_ONCE), start=1):
        if task_id is not None:
            tasks.setdefault(task_id, []).append(number)
    last_seq = place.first_seq + len(told.task_ids) - 1
    return ArchivedIndex(place.first_seq, last_seq, told.last_at, tasks)


def _found_in(place: JournalPlace) -> ArchivedIndex:
    """Return the index without decoding the lines: commits want the processor.

    The mark stands in no text inside a line: there its quotes would be escaped.
    """
    tasks: dict[str, list[int]] = {}
    last = b""
    with place.live.open("rb") as journal:
        for number, line in enumerate(_giving_way(journal, _LINES_AT_ONCE), start=1):
            last = line
            if (at := line.find(_TASK_MARK)) >= 0:
                start = at + len(_TASK_MARK)
                task_id = line[start : line.index(b'"', start)].decode()
                tasks.setdefault(task_id, []).append(number)
    if not last:
        return ArchivedIndex(place.first_seq, place.first_seq - 1, "", {})
    if (end := decode(last.rstrip(b"\n"))) is None:
        raise LedgerDamaged(f"{place.live.name}: its last line is not as it was written")
    return ArchivedIndex(place.first_seq, end.seq, end.at, tasks)


def _giving_way(steps: Iterable[T], look_after: int = 1) -> Iterator[T]:
    """Yield *steps*, letting those who commit have the interpreter every little while.

    A thread that only computes keeps it for a millisecond each time, as long as a whole group's
    commit takes. After so many steps the time is looked at.
    """
    until = time.monotonic() + _BUSY_SECONDS
    for number, step in enumerate(steps, start=1):
        yield step
        if number % look_after == 0 and time.monotonic() > until:
            time.sleep(_REST_SECONDS)
            until = time.monotonic() + _BUSY_SECONDS


def _gzipped(path: Path) -> Iterator[bytes]:
    packer = isal_zlib.compressobj(_GZIP_LEVEL, isal_zlib.DEFLATED, _GZIP_WINDOW)
    with path.open("rb") as file:
        while piece := file.read(PIECE_BYTES):
            yield packer.compress(piece)
    yield packer.flush()
