"""The journal that is being written: its descriptor, and up to where it is durable."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Self

import msgspec

from ledger.jsondir.files import Disk
from ledger.jsondir.journals import JournalPlace


class Told(msgspec.Struct, frozen=True):
    """What the lines of a journal tell of, so that nobody has to read it again."""

    task_ids: Sequence[str | None]  # line by line; None: of no task
    last_at: str


class OpenJournal:
    """Appends to the newest journal; after the first failure it appends no more."""

    def __init__(self, disk: Disk, folder: Path, place: JournalPlace, size_bytes: int) -> None:
        self._disk = disk
        self._folder = folder
        self.place = place
        self.size_bytes = size_bytes  # acknowledged; the file may be longer after a failure
        self._fd: int | None = None
        self._begun = False  # with its first line, by us
        self._lines_count = 0
        self._task_ids: list[str | None] = []
        self._last_at: str | None = None

    @classmethod
    def begin(cls, disk: Disk, folder: Path, first_seq: int) -> Self:
        """Make a new journal; its name is durable on return."""
        journal = cls(disk, folder, JournalPlace(folder, first_seq), 0)
        journal._begun = True
        journal._fd = disk.create_journal(journal.place.live)
        return journal

    @classmethod
    def go_on(cls, disk: Disk, folder: Path, place: JournalPlace, size_bytes: int) -> Self:
        """Go on with a journal after its first *size_bytes*; what is behind them is cut off."""
        journal = cls(disk, folder, place, size_bytes)
        disk.cut(place.live, size_bytes)
        journal._fd = disk.open_journal(place.live)
        return journal

    def append(self, lines: Sequence[bytes]) -> None:
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
        self._lines_count += len(lines)

    def note(self, task_ids: Sequence[str | None], at: str) -> None:
        """Remember what the lines just appended tell of: a task each, or None."""
        self._task_ids += task_ids
        self._last_at = at

    @property
    def told(self) -> Told | None:
        """What all its lines tell of; None when some were there before, or were not noted."""
        if self._last_at is None or not self._begun or len(self._task_ids) != self._lines_count:
            return None
        return Told(self._task_ids, self._last_at)

    def cut_back(self) -> None:
        """Cut off what was appended but never acknowledged; raises OSError."""
        self.close()
        self._disk.cut(self.place.live, self.size_bytes)

    def close(self) -> None:
        """Let go of the descriptor; nothing is left to write."""
        if self._fd is not None:
            fd, self._fd = self._fd, None
            os.close(fd)
