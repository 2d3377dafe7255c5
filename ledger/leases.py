"""Leases of Linux (fcntl(2)): the kernel says who has a file open, and has who opens it wait."""

import errno
import fcntl
import os
import signal


def take_lease(descriptor: int, kind: int) -> None:
    """Take a lease until the file is closed: ``fcntl.F_RDLCK``, or ``F_WRLCK`` of it alone.

    Who opens the file against it waits until it is closed, 45 s at most; who will not wait
    (O_NONBLOCK) is refused. Raises OSError where the kernel grants none, EAGAIN when somebody has
    the file open.
    """
    if not hasattr(fcntl, "F_SETLEASE"):
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    # that somebody waits is told by SIGIO, which would end the process; SIGURG is ignored
    fcntl.fcntl(descriptor, fcntl.F_SETSIG, signal.SIGURG)
    fcntl.fcntl(descriptor, fcntl.F_SETLEASE, kind)


def does_writer_wait(descriptor: int) -> bool:
    """Say whether somebody waits to open the file for writing, of which a lease was taken."""
    held = hasattr(fcntl, "F_GETLEASE") and fcntl.fcntl(descriptor, fcntl.F_GETLEASE)
    return held == fcntl.F_UNLCK
