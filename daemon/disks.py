"""Disks that are full: which error says so, and which folders lie on them."""

import errno
import shutil
from collections.abc import Iterable
from pathlib import Path

#: What is left on a disk that counts as full, and what must be free before writing begins.
FULL_BELOW_BYTES = 1024 * 1024
#: No room, none within the quota, no file may grow.
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


def is_full(error: OSError) -> bool:
    """Say whether *error* goes away by itself once somebody makes room."""
    return error.errno in _FULL


def on_full_disks(paths: Iterable[Path]) -> list[Path]:
    """Return those of *paths* that lie on full disks, one a disk."""
    full: dict[int, Path] = {}
    for path in paths:
        try:
            device, free = path.stat().st_dev, shutil.disk_usage(path).free
        except OSError:
            continue  # it is not there yet
        if free < FULL_BELOW_BYTES:
            full.setdefault(device, path)
    return list(full.values())
