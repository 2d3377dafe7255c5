"""What a person is told when the system would not let a command write."""

import errno
import pwd
import shutil
from pathlib import Path

from config.errors import ConfigError
from config.settings import Settings
from daemon.cli.invocation import Invocation

#: What is left on a disk that counts as full: less than anything that we write.
_FULL_BELOW_BYTES = 1024 * 1024


def sentence_on(error: OSError, invocation: Invocation) -> str | None:
    """Return what is wrong, where, and what to do; None for an error that needs no such words."""
    words = invocation.words
    if error.errno == errno.ENOSPC:
        full = _full_disks(invocation)
        return words("trouble.disk_full", paths=", ".join(full)) if full else None
    path = error.filename2 or error.filename
    if path is None or error.errno not in (errno.EACCES, errno.EPERM):
        return None
    owner = _owner_of(Path(str(path)))
    if owner is None:
        return words("trouble.denied", path=path)
    return words("trouble.denied_owner", path=path, owner=owner)


def _full_disks(invocation: Invocation) -> list[str]:
    """Return our folders that lie on full disks, one a disk."""
    try:
        settings = invocation.settings
    except ConfigError:
        return []
    full: dict[int, str] = {}
    for path in _folders(settings):
        try:
            device, free = path.stat().st_dev, shutil.disk_usage(path).free
        except OSError:
            continue  # it is not there yet
        if free < _FULL_BELOW_BYTES:
            full.setdefault(device, str(path))
    return list(full.values())


def _folders(settings: Settings) -> tuple[Path, ...]:
    places = (settings.ledger, settings.inbox, settings.inputs, settings.outputs)
    return (settings.state_dir, *(place.path for place in places))


def _owner_of(path: Path) -> str | None:
    """Return who owns *path*, or what of it we may see."""
    for each in (path, *path.parents):
        try:
            return pwd.getpwuid(each.stat().st_uid).pw_name
        except (OSError, KeyError):
            continue
    return None
