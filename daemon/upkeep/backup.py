"""Backups of the ledger: ``ledger-backups/<time>/``, made before a mass recovery and daily."""

import shutil
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import structlog

from ledger.timestamps import to_timestamp

log = structlog.get_logger()

#: Backups kept; older ones go when a new one is made.
KEPT_BACKUPS = 10
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

        Raises OSError. A crash leaves a folder ``*.unfinished``, which the next call removes.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        for left in self._folder.glob(f"*{_UNFINISHED}"):
            shutil.rmtree(left)
        backup = self._free_name(now)
        unfinished = backup.with_name(backup.name + _UNFINISHED)
        self._copy(unfinished)
        unfinished.rename(backup)
        log.info("ledger.backed_up", folder=str(backup))
        for old in self.all()[: -self._kept]:
            shutil.rmtree(old)
        return backup

    def all(self) -> list[Path]:
        """Return the backups there are, oldest first."""
        if not self._folder.is_dir():
            return []
        return sorted(
            path for path in self._folder.iterdir() if path.is_dir() and path.suffix != _UNFINISHED
        )

    def _free_name(self, now: datetime) -> Path:
        """Return a name that sorts behind all others of its moment."""
        stem = to_timestamp(now).replace(":", "")
        number = 1
        while (path := self._folder / f"{stem}-{number:02}").exists():
            number += 1
        return path
