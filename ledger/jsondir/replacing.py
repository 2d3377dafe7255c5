"""How one folder takes the place of another: two renames, of which the second may come later."""

import contextlib
from pathlib import Path

from ledger.jsondir.files import Disk
from ledger.jsondir.lock import FolderLock


def whole_copy(path: Path) -> Path:
    """Return where the folder lies that is about to become *path*, with nothing missing in it."""
    return path.with_name(f"{path.name}.restored")


def take_place(path: Path, new: Path, aside: Path | None, lock: FolderLock, disk: Disk) -> None:
    """Make *new*, which is durable, the folder *path*; what was there becomes *aside*.

    Drops *lock* with the folder it belongs to. Killed between the two renames there is no *path*
    any more; ``finish_restore`` does the second.
    """
    disk.reached("restore.before_whole")
    disk.rename(new, whole_copy(path))
    disk.sync_folder(path.parent)
    disk.reached("restore.before_aside")
    if aside is not None:
        disk.rename(path, aside)
        disk.sync_folder(path.parent)
    lock.drop()
    disk.reached("restore.before_rename")
    finish_restore(path, disk)
    disk.reached("restore.after_rename")


def finish_restore(path: Path, disk: Disk) -> None:
    """Do the last step of a restore that was killed before it; nothing happens otherwise."""
    whole = whole_copy(path)
    if not path.exists() and whole.is_dir():
        with contextlib.suppress(FileNotFoundError):  # another process did it in this instant
            disk.rename(whole, path)
            disk.sync_folder(path.parent)
