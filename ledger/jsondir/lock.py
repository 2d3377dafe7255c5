"""The lock that one writing process holds for its life; who that is, ``holder`` tells."""

import contextlib
import fcntl
import os
import platform
import time
from pathlib import Path

import filelock
import msgspec

from ledger.errors import LedgerLocked
from ledger.jsondir.files import Disk
from ledger.jsondir.holder import HOLDER, Holder, process_start, read_holder

LOCK = "ledger.lock"


class FolderLock:
    """Taken by ``take``, dropped by ``drop`` or by the death of the process."""

    def __init__(self, folder: Path, disk: Disk) -> None:
        self._holder_path = folder / HOLDER
        self._disk = disk
        # thread_local: a lock taken in one thread could not be dropped in another, silently
        self._lock = filelock.FileLock(folder / LOCK, blocking=False, thread_local=False)

    def take(self, at: str, *, must_be_named: bool = True) -> None:
        """Take the lock or raise LedgerLocked, which names the holder; held already, keep it.

        Whoever removes the lock file lets nobody in: its holder's note is believed, too. Raises
        OSError, without the lock, when the holder's note cannot be written and
        *must_be_named*.
        """
        if self._lock.is_locked:
            return
        try:
            self._lock.acquire()
        except filelock.Timeout:
            raise LedgerLocked(_name(self._holder_path)) from None
        folder = self._holder_path.parent
        if _is_still_held(folder):
            self._lock.release()
            raise LedgerLocked(_name(self._holder_path))
        own = os.getpid()
        holder = Holder(own, platform.node(), at, process_start(own), folder.stat().st_ino)
        try:
            self._disk.write_note(self._holder_path, msgspec.json.encode(holder))
        except OSError:
            if must_be_named:
                self.drop()
                raise

    def drop(self) -> None:
        """Drop the lock; nothing happens when it is not held."""
        if self._lock.is_locked:
            with contextlib.suppress(OSError):  # a note left behind is not believed
                self._disk.remove_if_there(self._holder_path)
            self._lock.release()


def is_locked(folder: Path) -> bool:
    """Say whether a process holds the lock, one too that could not write its note: a full disk.

    For a moment nobody else gets it; whoever wants it to write tries again.
    """
    try:
        descriptor = os.open(folder / LOCK, os.O_RDONLY)
    except OSError:  # there is none, or it is not ours to look at
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def _is_still_held(folder: Path) -> bool:
    """Say whether a living process of this machine, not this one, has not let go of *folder*."""
    holder = read_holder(folder)
    if holder is None or not holder.is_here or holder.pid == os.getpid():
        return False
    return holder.folder == folder.stat().st_ino


def _name(path: Path) -> str:
    for _ in range(20):  # the holder writes its note just after it got the lock
        if (holder := read_holder(path.parent)) is not None:
            return f"process {holder.pid} on {holder.host} (since {holder.since})"
        time.sleep(0.01)
    return "another process"
