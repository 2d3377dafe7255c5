"""``ledger restore``: a backup takes the ledger's place, and nothing is given or run twice.

The new folder is made whole beside the old one, then both change their names. A kill before leaves
the ledger as it was, and a copy that the next restore makes anew; a kill between the two renames
leaves no ledger but a whole new one beside it, which the next writer puts in its place.
"""

import shutil
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import TypeAlias

import msgspec

from ledger.errors import LedgerDamaged, NotABackup
from ledger.jsondir import snapshot
from ledger.jsondir.archive import month_files
from ledger.jsondir.files import PIECE_BYTES, Disk
from ledger.jsondir.journals import (
    ARCHIVE,
    JournalPlace,
    archived_journals,
    last_seq_of,
    live_journals,
    read_gzip,
)
from ledger.jsondir.leaping import GivenNumbers, Leap, given_by, leap
from ledger.jsondir.loading import Loaded, Repair, load
from ledger.jsondir.lock import FolderLock
from ledger.jsondir.mark import read_mark
from ledger.jsondir.replacing import finish_restore, take_place, whole_copy
from ledger.jsondir.resuming import journal_to_write
from ledger.jsondir.scan import scan
from ledger.timestamps import to_timestamp

#: The ending of the new folder's name while it is made.
_UNFINISHED = ".restoring"

Gap: TypeAlias = tuple[int, int]  # seqs, first and last


class Restored(msgspec.Struct, frozen=True):
    """What a restore did."""

    tasks: int
    last_seq: int  # the backup's newest change
    lost: tuple[int, int] | None  # seqs that the ledger before may have given since
    kept_aside: str | None  # where that one lies now; None when there was none
    archived_journals: int  # taken over from it


def restore(
    path: Path, backup: Path, *, now: Callable[[], datetime], disk: Disk | None = None
) -> Restored:
    """Put a copy of *backup* in the place of the ledger in *path*, which is kept aside.

    The new ledger knows which changes are lost, and goes on above all ids and change numbers that
    the old one may have given. Of the old one's archive it has the finished tasks, and the
    journals that ended before the backup was made: later ones tell of changes that never were.

    Raises, with the ledger as it was: LedgerLocked, NotABackup, LedgerDamaged for a damaged
    backup, LedgerTooNew, OSError.
    """
    disk = disk or Disk()
    at = to_timestamp(now())
    mark, path = read_mark(path), path.resolve()
    finish_restore(path, disk)
    lock = FolderLock(path, disk)
    if path.is_dir():
        lock.take(at)
    try:
        loaded = _load_backup(backup)
        new = _begin_anew(path, disk)
        _copy_backup(backup, new, disk)
        taken, lacking = _take_archive_over(path, new, loaded.state.last_seq, disk)
        aside = _free_name(path, at) if path.is_dir() else None
        given = given_by(path, mark)
        record = Repair(history=lacking, kept_aside=[aside.name] if aside else [])
        leapt = _go_on(new, given, disk, at, f"restored from {backup.name}", record)
        take_place(path, new, aside, lock, disk)
    finally:
        lock.drop()
    return Restored(
        tasks=len(loaded.state.tasks),
        last_seq=loaded.state.last_seq,
        lost=leapt.lost,
        kept_aside=str(aside) if aside else None,
        archived_journals=taken,
    )


def _load_backup(backup: Path) -> Loaded:
    loaded = load(backup)
    if loaded.state.damage:
        raise LedgerDamaged(f"the backup {backup.name} is damaged: {loaded.state.damage[0]}")
    if loaded.base is None and not loaded.state.last_seq:
        raise NotABackup(str(backup))
    return loaded


def _begin_anew(path: Path, disk: Disk) -> Path:
    new = path.with_name(path.name + _UNFINISHED)
    for left in (new, whole_copy(path)):  # by a restore that was killed; it is only a copy
        if left.is_dir():
            shutil.rmtree(left)
    disk.make_folder(new / ARCHIVE)
    return new


def _copy_backup(backup: Path, new: Path, disk: Disk) -> None:
    names = [snapshot.CURRENT, snapshot.PREVIOUS]
    names += [place.live.name for place in live_journals(backup)]
    for name in names:
        if (backup / name).exists():
            _copy(backup / name, new / name, disk)


def _take_archive_over(path: Path, new: Path, last_seq: int, disk: Disk) -> tuple[int, list[Gap]]:
    """Copy what is whole of the archive; returns how many journals, and what history lacks."""
    for source in month_files(path):
        _copy(source, new / ARCHIVE / source.name, disk)
    taken, lacking = 0, list[Gap]()
    for place in archived_journals(path, up_to=last_seq):
        there = JournalPlace(new, place.first_seq)
        if there.live.exists():
            continue
        if not _is_whole(place):
            lacking.append((place.first_seq, last_seq_of(place)))
            continue
        taken += 1
        for source, target in ((place.index, there.index), (place.archived, there.archived)):
            if source.exists():
                _copy(source, target, disk)
    return taken, lacking


def _is_whole(place: JournalPlace) -> bool:
    try:
        found = scan(read_gzip(place.archived), place.archived.name)
    except (FileNotFoundError, LedgerDamaged):
        return False
    return not (found.problems or found.torn_bytes)


def _go_on(  # noqa: PLR0917 - what is recorded has many parts
    new: Path, given: GivenNumbers, disk: Disk, at: str, why: str, record: Repair
) -> Leap:
    """Record in the new folder what is lost, and where ids and numbers go on."""
    loaded = load(new)
    leapt = leap(loaded, given, at, why=why, record=record)
    journal_to_write(disk, new, loaded, at, damaged=False).close()
    return leapt


def _free_name(path: Path, at: str) -> Path:
    return path.with_name(f"{path.name}.lost-{at.replace(':', '')}")


def _copy(source: Path, target: Path, disk: Disk) -> None:
    disk.write_whole("restore", target, _pieces(source))
    disk.take_place("restore", target)


def _pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb") as content:
        while piece := content.read(PIECE_BYTES):
            yield piece
