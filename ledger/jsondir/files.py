"""The only module that writes, syncs, renames or removes a file of the ledger.

Every step first says where it stands through ``reached``, so that a crash test can kill the real
process there. A step that returned has reached the disk; one that raised may have happened in part.
"""

import contextlib
import errno
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from ledger.jsondir.freeing import freed_bit_by_bit

#: No write of more than this goes unsynced: one large sync would stall the commits behind it.
PIECE_BYTES = 512 * 1024


def _not_watched(name: str) -> None:
    """Nobody wants to know where the writing stands."""


class Disk:
    """The real disk. Tests put one in its place that fails, or forgets what was not synced."""

    def __init__(self, reached: Callable[[str], None] = _not_watched) -> None:
        self.reached = reached

    # -- the journal -----------------------------------------------------------------------------

    def create_journal(self, path: Path) -> int:
        """Make an empty journal, its name durable, and return its descriptor for appending.

        An empty one may be there from a try that failed.
        """
        self.reached("journal.before_create")
        fd = self.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        try:
            if os.fstat(fd).st_size:
                raise FileExistsError(errno.EEXIST, "a journal of this name has content", str(path))
            self.sync_folder(path.parent)
        except OSError:
            os.close(fd)
            raise
        self.reached("journal.after_create")
        return fd

    def open_journal(self, path: Path) -> int:
        """Open a journal that is there for appending."""
        return self.open(path, os.O_WRONLY | os.O_APPEND)

    def append(self, fd: int, lines: Sequence[bytes]) -> int:
        """Append *lines*, make them durable with one sync, and return how many bytes they are.

        After an OSError the descriptor is not used again.
        """
        self.reached("journal.before_append")
        size_bytes = sum(map(len, lines))
        if size_bytes <= PIECE_BYTES:
            self.write(fd, b"".join(lines))
        else:
            for piece in _of_bounded_size(lines):
                self.write(fd, piece)
        self.reached("journal.after_append_before_sync")
        self.sync(fd)
        self.reached("journal.after_sync")
        return size_bytes

    def cut(self, path: Path, size_bytes: int) -> None:
        """Cut the file to *size_bytes*, durably; nothing happens when it is not longer."""
        if path.stat().st_size <= size_bytes:
            return
        self.reached("cut.before")
        fd = self.open(path, os.O_WRONLY)
        try:
            self.truncate(fd, size_bytes)
            self.sync(fd)
        finally:
            os.close(fd)
        self.reached("cut.after")

    # -- whole files -----------------------------------------------------------------------------

    def write_whole(self, what: str, path: Path, pieces: Iterable[bytes]) -> None:
        """Put *pieces* durably into ``<path>.tmp``; ``take_place`` makes it *path*.

        A piece of the result is at most PIECE_BYTES between two syncs. After an OSError the room it
        took is free again: the disk may be full, and whoever commits needs some.
        """
        self.reached(f"{what}.before_write")
        fd = self.open(temporary(path), os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        try:
            for piece in _of_bounded_size(pieces):
                self.write(fd, piece)
                self.sync(fd)
                self.reached(f"{what}.piece_synced")
        except OSError:
            with contextlib.suppress(OSError):
                self.remove_if_there(temporary(path))
            raise
        finally:
            os.close(fd)

    def take_place(self, what: str, path: Path, keep: Path | None = None) -> None:
        """Rename ``<path>.tmp`` to *path*, durably; what stood there is kept as *keep*.

        At every instant a whole *path* is there, if one was before.
        """
        with freed_bit_by_bit(keep or path):
            if keep is not None and path.exists():
                self.reached(f"{what}.before_keep")
                aside = temporary(keep)
                self.remove_if_there(aside)
                self.link(path, aside)
                self.rename(aside, keep)
            self.reached(f"{what}.before_rename")
            self.rename(temporary(path), path)
            self.reached(f"{what}.after_rename")
            self.sync_folder(path.parent)
            self.reached(f"{what}.after_folder_sync")

    def append_whole(self, what: str, path: Path, data: bytes) -> None:
        """Append *data* durably to *path*, which need not be there."""
        self.reached(f"{what}.before_append")
        fd = self.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        try:
            self.write(fd, data)
            self.reached(f"{what}.after_append_before_sync")
            self.sync(fd)
        finally:
            os.close(fd)
        self.sync_folder(path.parent)
        self.reached(f"{what}.after_sync")

    def set_aside(self, path: Path, name: str) -> None:
        """Rename *path* durably to *name*, in the same folder."""
        self.reached("aside.before_rename")
        self.rename(path, path.with_name(name))
        self.sync_folder(path.parent)
        self.reached("aside.after_rename")

    def remove(self, what: str, path: Path) -> None:
        """Remove *path* durably; nothing happens when it is not there."""
        self.reached(f"{what}.before_remove")
        with freed_bit_by_bit(path):
            self.remove_if_there(path)
            self.sync_folder(path.parent)
        self.reached(f"{what}.after_remove")

    def make_folder(self, path: Path) -> None:
        """Make *path* and its parents."""
        if not path.is_dir():
            path.mkdir(parents=True, exist_ok=True)
            self.sync_folder(path.parent)

    def probe(self, folder: Path, size_bytes: int) -> None:
        """Prove that *size_bytes* can be written into *folder*; raises OSError."""
        path = folder / "probe.tmp"
        try:
            fd = self.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            try:
                self.write(fd, b"\0" * size_bytes)
                self.sync(fd)
            finally:
                os.close(fd)
        finally:
            self.remove_if_there(path)

    def write_note(self, path: Path, data: bytes, *, durable: bool = False) -> None:
        """Write a small file, whole or not at all; only a *durable* one survives a power cut."""
        fd = self.open(temporary(path), os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        try:
            self.write(fd, data)
            if durable:
                self.sync(fd)
        finally:
            os.close(fd)
        self.rename(temporary(path), path)
        if durable:
            self.sync_folder(path.parent)

    # -- what a test's disk does otherwise -------------------------------------------------------

    def open(self, path: Path, flags: int) -> int:
        """Open a file; children do not inherit it."""
        return os.open(path, flags, 0o644)

    def write(self, fd: int, data: bytes) -> None:
        """Write all of *data*."""
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(fd, rest) :]

    def sync(self, fd: int) -> None:
        """Make the file's bytes durable."""
        os.fdatasync(fd)

    def truncate(self, fd: int, size_bytes: int) -> None:
        """Cut an open file."""
        os.ftruncate(fd, size_bytes)

    def rename(self, source: Path, target: Path) -> None:
        """Rename over whatever is there; durable after ``sync_folder``."""
        source.replace(target)

    def link(self, source: Path, target: Path) -> None:
        """Give a file a second name; durable after ``sync_folder``."""
        os.link(source, target)

    def remove_if_there(self, path: Path) -> None:
        """Remove a name; durable after ``sync_folder``."""
        with contextlib.suppress(FileNotFoundError):
            path.unlink()

    def sync_folder(self, folder: Path) -> None:
        """Make the names in *folder* durable."""
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


def temporary(path: Path) -> Path:
    """Return the name under which *path* is written before it takes its place."""
    return path.with_name(path.name + ".tmp")


def corrupt_name(path: Path, at: str) -> str:
    """Return the name that a damaged file is kept under."""
    return f"{path.name}.corrupt-{at.replace(':', '')}"


def _of_bounded_size(pieces: Iterable[bytes]) -> Iterable[bytes]:
    gathered: list[bytes] = []
    size_bytes = 0
    for piece in pieces:
        if size_bytes + len(piece) > PIECE_BYTES:
            if gathered:
                yield b"".join(gathered)
            gathered, size_bytes = [], 0
            while len(piece) > PIECE_BYTES:
                yield piece[:PIECE_BYTES]
                piece = piece[PIECE_BYTES:]  # noqa: PLW2901 - what is left of it
        gathered.append(piece)
        size_bytes += len(piece)
    if size_bytes:
        yield b"".join(gathered)
