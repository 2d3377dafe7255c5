"""Disks that fail, and disks that forget what was not synced; both write real files."""

import errno
import os
import shutil
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from random import Random

from ledger.jsondir.files import Disk

#: The least a disk writes as a whole; and how often one of those that were on their way is lost.
SECTOR_BYTES, LOST_SHARE = 512, 0.3


class CountingDisk(Disk):
    """Counts the appends to the journal, each of which is one sync."""

    appends = 0

    def append(self, fd: int, lines: Iterable[bytes]) -> int:
        self.appends += 1
        return super().append(fd, lines)


class FailingDisk(Disk):
    """Has no space, or cannot sync, from the moment a test says so."""

    def __init__(self) -> None:
        super().__init__()
        self.full = False
        self.sync_fails = False
        self.cutting_fails = False

    def write(self, fd: int, data: bytes) -> None:
        if self.full:
            super().write(fd, data[: len(data) // 2])  # as a real one does: what fits is written
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        super().write(fd, data)

    def sync(self, fd: int) -> None:
        if self.sync_fails:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        super().sync(fd)

    def truncate(self, fd: int, size_bytes: int) -> None:
        if self.cutting_fails:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        super().truncate(fd, size_bytes)


class ForgetfulDisk(Disk):
    """Knows what a power cut leaves: bytes that were synced, under names that were synced.

    Every file gets a second name in *shadow*, so that bytes of removed names are still there.
    """

    def __init__(
        self, shadow: Path, folders: Iterable[Path], reached: Callable[[str], None] = lambda _: None
    ) -> None:
        super().__init__(reached)
        shadow.mkdir()
        self._shadow = shadow
        self._synced: dict[int, int] = {}  # inode → bytes on the platter
        self._names: dict[Path, dict[str, int]] = {}  # folder → its durable names
        self._powerless = False
        self._names_stand_still = threading.RLock()
        for folder in folders:
            self._find_on_platter(folder)

    def _find_on_platter(self, folder: Path) -> None:
        for path in folder.iterdir() if folder.exists() else ():
            if path.is_file():
                status = path.stat()
                os.link(path, self._shadow / str(status.st_ino))
                self._synced[status.st_ino] = status.st_size
                self._names.setdefault(folder, {})[path.name] = status.st_ino

    def open(self, path: Path, flags: int) -> int:
        self._must_have_power()
        with self._names_stand_still:
            fd = super().open(path, flags)
        inode = os.fstat(fd).st_ino
        if not (self._shadow / str(inode)).exists():
            os.link(path, self._shadow / str(inode))
            self._synced[inode] = 0
        elif flags & os.O_TRUNC:
            self._synced[inode] = 0
        return fd

    def write(self, fd: int, data: bytes) -> None:
        self._must_have_power()
        super().write(fd, data)

    def sync(self, fd: int) -> None:
        self._must_have_power()
        status = os.fstat(fd)
        self._synced[status.st_ino] = status.st_size

    def truncate(self, fd: int, size_bytes: int) -> None:
        self._must_have_power()
        super().truncate(fd, size_bytes)
        inode = os.fstat(fd).st_ino
        self._synced[inode] = min(self._synced[inode], size_bytes)

    def rename(self, source: Path, target: Path) -> None:
        self._must_have_power()
        with self._names_stand_still:
            super().rename(source, target)

    def link(self, source: Path, target: Path) -> None:
        self._must_have_power()
        with self._names_stand_still:
            super().link(source, target)

    def remove_if_there(self, path: Path) -> None:
        self._must_have_power()
        with self._names_stand_still:
            super().remove_if_there(path)

    def sync_folder(self, folder: Path) -> None:
        self._must_have_power()
        with self._names_stand_still:
            self._names[folder] = {
                path.name: path.stat().st_ino for path in folder.iterdir() if path.is_file()
            }

    def cut_power(self) -> None:
        """Nothing is written any more; every try is an error."""
        self._powerless = True

    def after_power_cut(
        self, keep: Callable[[int], int] = lambda _: 0, *, order: Random | None = None
    ) -> None:
        """Make the folders what they are after a power cut.

        *keep* says how many of so many unsynced bytes of a file happened to be on the platter.
        With *order* they got there in any order, and so did names: each change of one that was
        not synced is there or not, and each sector of the bytes kept is there or zeros.
        """
        for folder, synced in self._names.items():
            names = synced if order is None else self._any_of_both(folder, synced, order)
            contents = {name: self._left_of(inode, keep, order) for name, inode in names.items()}
            for path in list(folder.iterdir()):
                if path.is_file():
                    path.unlink()
            for name, content in contents.items():
                (folder / name).write_bytes(content)
        shutil.rmtree(self._shadow)

    def _any_of_both(self, folder: Path, synced: dict[str, int], order: Random) -> dict[str, int]:
        """Return the names that were synced, each change since then made or not."""
        now = {path.name: path.stat().st_ino for path in folder.iterdir() if path.is_file()}
        chosen = {name: order.choice((synced, now)).get(name) for name in sorted({*synced, *now})}
        return {name: inode for name, inode in chosen.items() if inode is not None}

    def _left_of(self, inode: int, keep: Callable[[int], int], order: Random | None) -> bytes:
        shadow = self._shadow / str(inode)
        if not shadow.exists():  # the lock file: nobody writes it through the disk
            return b""
        content = shadow.read_bytes()
        synced = self._synced[inode]
        left = content[: synced + keep(len(content) - synced)]
        if order is None:
            return left
        sectors = bytearray(left)
        for start in range(synced, len(left), SECTOR_BYTES):
            if order.random() < LOST_SHARE:
                end = min(start + SECTOR_BYTES, len(left))
                sectors[start:end] = bytes(end - start)
        return bytes(sectors)

    def _must_have_power(self) -> None:
        if self._powerless:
            raise OSError(errno.EIO, "no power")
