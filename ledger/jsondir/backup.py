"""A copy of the ledger as of one moment, made beside the writer at work, without its lock."""

import errno
from collections.abc import Iterator
from pathlib import Path

from ledger.jsondir import snapshot
from ledger.jsondir.files import PIECE_BYTES, Disk
from ledger.jsondir.journals import live_journals
from ledger.jsondir.leaping import BACKUP_NOTE

#: A new snapshot may come in between; there is one a second at most, and a small one is copied
#: in less.
TRIES = 20
_NOTE = b'{"is":"a copy; whoever opens it leaves the ids given since alone"}\n'


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
