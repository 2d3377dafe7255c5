"""Named places where a test may end the process, or be told that the place was reached.

In production nothing is armed and ``reach`` returns at once. The command line arms it from
``ROWKEEPER_FAILPOINT`` (see ``cli/main``), so that crash tests kill the real program.
"""

import os
import signal
from collections.abc import Callable

_armed: Callable[[str], None] | None = None


def reach(name: str) -> None:
    """Say that the place *name* is reached; when armed for it, the process dies here."""
    if _armed is not None:
        _armed(name)


def arm(watcher: Callable[[str], None] | None) -> None:
    """Call *watcher* with every name reached from now on; None disarms."""
    global _armed  # noqa: PLW0603 - one switch for the whole process is what a failpoint is
    _armed = watcher


def kill_at(order: str) -> Callable[[str], None]:
    """Return a watcher for ``NAME@N``: SIGKILL to ourselves when NAME is reached the N-th time.

    ``*`` as NAME counts every place. Raises ValueError for an order of another form.
    """
    name, _, count = order.partition("@")
    left = int(count or "1")

    def watch(reached: str) -> None:
        nonlocal left
        if name in ("*", reached):
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    return watch


def record_to(path: str) -> Callable[[str], None]:
    """Return a watcher that appends every name reached to the file *path*, a line each."""

    def watch(reached: str) -> None:
        with open(path, "a", encoding="utf-8") as log:  # noqa: PTH123 - test support, kept plain
            log.write(reached + "\n")

    return watch
