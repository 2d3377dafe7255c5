"""Backups of the ledger: ``ledger-backups/<time>/``; daily, before a mass recovery, by hand."""

import contextlib
import shutil
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

import structlog

from ledger.jsondir.freeing import freed_bit_by_bit
from ledger.timestamps import to_timestamp

log = structlog.get_logger()

#: Where they lie in the state folder.
BACKUPS = "ledger-backups"
#: Backups kept; older ones go when a new one is made.
KEPT_BACKUPS = 10
#: The ending of a copy by hand while it is made; one that is unfinished for so long was killed.
COPYING = ".copying"
COPYING_SECONDS = 86_400.0
#: The same of the daemon's own.
_UNFINISHED = ".unfinished"


class LedgerBackups:
    """Makes backups and keeps the newest ``KEPT_BACKUPS``.

    To go back to one: stop the daemon, `ledger restore`.
    """

    def __init__(
        self, folder: Path, copy: Callable[[Path], None], *, kept: int = KEPT_BACKUPS
    ) -> None:
        """*copy* puts a consistent copy of the ledger into the folder that it is given."""
        self._folder = folder
        self._copy = copy
        self._kept = kept

    def make(self, now: datetime) -> Path:
        """Make a backup and return its folder; blocks, so it belongs into a thread.

        Raises OSError, also when what the folder of all of them lies in is gone. A crash leaves a
        folder ``*.unfinished``, which the next call removes.
        """
        self._folder.mkdir(exist_ok=True)
        for left in self._left_behind(now):
            _remove(left)
        backup = free_name(self._folder, now)
        unfinished = backup.with_name(backup.name + _UNFINISHED)
        self._copy(unfinished)
        unfinished.rename(backup)
        log.info("ledger.backed_up", folder=str(backup))
        for old in self.all()[: -self._kept]:
            leaving = old.with_name(old.name + _UNFINISHED)  # half of a backup is none
            old.rename(leaving)
            _remove(leaving)
        return backup

    def all(self) -> list[Path]:
        """Return the backups there are, oldest first."""
        return backups_in(self._folder)

    def _left_behind(self, now: datetime) -> Iterator[Path]:
        """Yield what kills have left: ours, and copies by hand that nobody can be at any more."""
        yield from self._folder.glob(f"*{_UNFINISHED}")
        for copying in self._folder.glob(f"*{COPYING}"):
            with contextlib.suppress(FileNotFoundError):  # it has got its name this moment
                if now.timestamp() - copying.stat().st_mtime > COPYING_SECONDS:
                    yield copying


def _remove(folder: Path) -> None:
    """Remove all of *folder*; those who commit meanwhile do not wait for the room of it."""
    for path in folder.rglob("*"):
        if path.is_file():
            with freed_bit_by_bit(path):
                path.unlink()
    shutil.rmtree(folder)


def backups_in(folder: Path) -> list[Path]:
    """Return the backups there are, oldest first."""
    if not folder.is_dir():
        return []
    unfinished = (_UNFINISHED, COPYING)
    return sorted(
        path for path in folder.iterdir() if path.is_dir() and path.suffix not in unfinished
    )


def free_name(folder: Path, now: datetime) -> Path:
    """Return a name for a new backup that sorts behind all others of its moment."""
    stem = to_timestamp(now).replace(":", "")
    number = 1
    while (path := folder / f"{stem}-{number:02}").exists():
        number += 1
    return path
