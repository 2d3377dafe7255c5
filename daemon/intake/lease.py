"""Does anybody have a file open for writing? The kernel knows, where it grants read leases."""

import contextlib
import errno
import fcntl
import os
import stat
from enum import Enum, auto
from pathlib import Path

from ledger.leases import take_lease


class Writers(Enum):
    """What the kernel says of a file's writers."""

    NONE = auto()
    SOME = auto()
    UNKNOWN = auto()  #: no leases here: another system, another owner, a network folder


def writers_of(path: Path) -> Writers:
    """Return whether somebody has *path* open for writing.

    Raises FileNotFoundError when it is gone. A writer that opens it in the same instant is held
    up for that instant only.
    """
    if not stat.S_ISREG(path.lstat().st_mode):
        return Writers.UNKNOWN
    try:
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        descriptor = os.open(path, flags)
    except FileNotFoundError:
        raise
    except OSError:
        return Writers.UNKNOWN
    try:
        take_lease(descriptor, fcntl.F_RDLCK)
    except OSError as error:
        return Writers.SOME if error.errno == errno.EAGAIN else Writers.UNKNOWN
    else:
        with contextlib.suppress(OSError):
            fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)
        return Writers.NONE
    finally:
        os.close(descriptor)
