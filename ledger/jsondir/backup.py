"""A copy of the ledger as of one moment, made beside the writer at work, without its lock."""

import errno
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import msgspec

from ledger.errors import LedgerDamaged, NotABackup
from ledger.jsondir import snapshot
from ledger.jsondir.files import PIECE_BYTES, Disk
from ledger.jsondir.journals import live_journals
from ledger.jsondir.leaping import BACKUP_NOTE
from ledger.jsondir.loading import load

#: A new snapshot may come in between; there is one a second at most, and a small one is copied
#: in less.
TRIES = 20
_NOTE = b'{"is":"a copy; whoever opens it leaves the ids given since alone"}\n'


class BackedUp(msgspec.Struct, frozen=True):
    """What a backup holds."""

    tasks: int
    last_seq: int  # its newest change
    size_bytes: int


def back_up(path: Path, target: Path, unfinished: Path, disk: Disk | None = None) -> BackedUp:
    """Put a copy of the ledger in *path*, read back whole, at *target*: durably, or not at all.

    It is made as *unfinished*, in the same folder. Raises FileExistsError when one of the two is
    there, NotABackup when there is no ledger, LedgerDamaged when what was copied is not whole,
    LedgerTooNew, OSError; then neither is left. A kill leaves *unfinished* at most.
    """
    disk = disk or Disk()
    if target.exists():
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target))
    disk.make_folder(target.parent)
    unfinished.mkdir()
    try:
        copy_ledger(path, unfinished, disk)
        made = _read_back(unfinished, path)
        disk.reached("backup.before_name")
        disk.rename(unfinished, target)
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise
    disk.sync_folder(target.parent)
    return made


def _read_back(copy: Path, path: Path) -> BackedUp:
    loaded = load(copy)
    if loaded.state.damage:
        raise LedgerDamaged("; ".join(loaded.state.damage))
    if loaded.base is None and not loaded.state.last_seq:
        raise NotABackup(str(path))
    size_bytes = sum(each.stat().st_size for each in copy.iterdir())
    return BackedUp(len(loaded.state.tasks), loaded.state.last_seq, size_bytes)


def copy_ledger(path: Path, target: Path, disk: Disk | None = None) -> None:
    """Put a copy of the folder *path* into the new folder *target*, durably.

    It opens as the state after some whole transaction, not older than the call: ``ledger.json``
    and the journals after it, the newest with a torn tail at most. The archive is not copied. A
    note says that it is a copy; see ``leaping``.
    Raises OSError. A crash leaves an incomplete *target*.
    """
    disk = disk or Disk()
    for _ in range(TRIES):
        disk.make_folder(target)
        for left in target.iterdir():
            disk.remove_if_there(left)
        if _copied(path, target, disk):
            return
    raise OSError(errno.EAGAIN, "the ledger changed faster than it could be copied", str(path))


def _copied(path: Path, target: Path, disk: Disk) -> bool:
    """Copy once; False when a new snapshot took journals away meanwhile."""
    current = path / snapshot.CURRENT
    before = _identity(current)
    try:
        names = [current.name] if before else []
        names += [place.live.name for place in live_journals(path)]
        for name in names:
            disk.write_whole("backup", target / name, _pieces(path / name))
            disk.take_place("backup", target / name)
        if names:
            disk.write_whole("backup", target / BACKUP_NOTE, [_NOTE])
            disk.take_place("backup", target / BACKUP_NOTE)
    except FileNotFoundError:
        return False
    return _identity(current) == before  # journals leave only after a new snapshot has its name


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return (found.st_ino, found.st_mtime_ns)


def _pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb") as content:
        while piece := content.read(PIECE_BYTES):
            yield piece
