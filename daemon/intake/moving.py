"""Moving a drop out of the inbox: never over an existing name, and safe to repeat."""

import os
import stat
from collections.abc import Iterable
from pathlib import Path

from daemon import failpoint
from daemon.durable import sync_folder
from daemon.intake.reports import free_names


def move_into(source: Path, folder: Path) -> Path:
    """Move *source* (a file, folder or link) into *folder* under its name, numbered when taken.

    A crash leaves it in its old place, its new one, or, a file, in both; calling again finishes.
    The move survives a power loss once both folders are synced, see ``sync_moves``. Raises
    FileNotFoundError when *source* is not there, OSError when it cannot be moved.
    """
    status = source.lstat()
    if not folder.is_dir():
        folder.mkdir(exist_ok=True)
        sync_folder(folder.parent)
    is_folder = stat.S_ISDIR(status.st_mode)
    ending = "" if is_folder else source.suffix
    for target in free_names(folder, source.name.removesuffix(ending), ending):
        if _moved(source, target, status, by_link=stat.S_ISREG(status.st_mode)):
            break
    failpoint.reach("intake.drop_moved")
    return target


def sync_moves(targets: Iterable[Path], source_folder: Path) -> None:
    """Make moves out of *source_folder* survive a power loss: each folder is synced once.

    The new names first, so that no drop is without a name.
    """
    for folder in dict.fromkeys(target.parent for target in targets):
        sync_folder(folder)
    sync_folder(source_folder)
    failpoint.reach("intake.moves_synced")


def _moved(source: Path, target: Path, status: os.stat_result, *, by_link: bool) -> bool:
    """Move to *target*; return False when something else has that name."""
    if by_link:
        try:
            os.link(source, target, follow_symlinks=False)
        except FileExistsError:
            if not os.path.samestat(status, target.lstat()):
                return False
        except FileNotFoundError:
            raise
        except OSError:
            by_link = False  # a file system without links, or a file that is not ours to link
    if by_link:
        failpoint.reach("intake.drop_linked")
        source.unlink()
        return True
    if os.path.lexists(target):
        return False
    source.rename(target)
    return True
