"""The journal that is being written: its descriptor, and up to where it is durable."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Self

from ledger.jsondir.files import Disk
from ledger.jsondir.journals import JournalPlace


class OpenJournal:
    """Appends to the newest journal; after the first failure it appends no more."""

    def __init__(self, disk: Disk, folder: Path, place: JournalPlace, size_bytes: int) -> None:
        self._disk = disk
        self._folder = folder
        self.place = place
        self.size_bytes = size_bytes  # acknowledged; the file may be longer after a failure
        self._fd: int | None = None

    @classmethod
    def begin(cls, disk: Disk, folder: Path, first_seq: int) -> Self:
        """Make a new journal; its name is durable on return."""
        journal = cls(disk, folder, JournalPlace(folder, first_seq), 0)
        journal._fd = disk.create_journal(journal.place.live)
        return journal

    @classmethod
    def go_on(cls, disk: Disk, folder: Path, place: JournalPlace, size_bytes: int) -> Self:
        """Go on with a journal after its first *size_bytes*; what is behind them is cut off."""
        journal = cls(disk, folder, place, size_bytes)
        disk.cut(place.live, size_bytes)
        journal._fd = disk.open_journal(place.live)
        return journal

    def append(self, lines: Iterable[bytes]) -> None:
        """Append *lines* durably, with one sync.

        After an OSError nothing is ever written to this descriptor.
        """
        if self._fd is None:
            raise OSError("the journal is not open for writing")
        try:
            self.size_bytes += self._disk.append(self._fd, lines)
        except OSError:
            self.close()
            raise

    def cut_back(self) -> None:
        """Cut off what was appended but never acknowledged; raises OSError."""
        self.close()
        self._disk.cut(self.place.live, self.size_bytes)

    def close(self) -> None:
        """Let go of the descriptor; nothing is left to write."""
        if self._fd is not None:
            fd, self._fd = self._fd, None
            os.close(fd)
