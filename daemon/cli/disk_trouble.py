"""What a person is told when the system would not let a command write."""

import errno
import pwd
from pathlib import Path

from config.errors import ConfigError
from daemon.cli.invocation import Invocation
from daemon.disks import is_full, on_full_disks

#: A write that fails so may name no file; a person knows what to do without a traceback.
DISK_TROUBLE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO}


def sentence_on(error: OSError, invocation: Invocation) -> str | None:
    """Return what is wrong, where, and what to do; None for an error that needs no such words."""
    words = invocation.words
    if is_full(error) and (full := _full_folders(invocation)):
        return words("trouble.disk_full", paths=full)
    path = error.filename2 or error.filename
    if path is None:
        return words("trouble.disk", said=error) if error.errno in DISK_TROUBLE else None
    if error.errno not in (errno.EACCES, errno.EPERM):
        return words("trouble.file", path=path, said=error)
    owner = _owner_of(Path(str(path)))
    if owner is None:
        return words("trouble.denied", path=path)
    return words("trouble.denied_owner", path=path, owner=owner)


def _full_folders(invocation: Invocation) -> list[Path]:
    """Return our folders that lie on full disks, one a disk."""
    try:
        settings = invocation.settings
    except ConfigError:
        return []
    places = (settings.ledger, settings.inbox, settings.inputs, settings.outputs)
    return on_full_disks((settings.state_dir, *(place.path for place in places)))


def _owner_of(path: Path) -> str | None:
    """Return who owns *path*, or what of it we may see."""
    for each in (path, *path.parents):
        try:
            return pwd.getpwuid(each.stat().st_uid).pw_name
        except (OSError, KeyError):
            continue
    return None
