"""Which ComfyUI is new enough. Pure."""

import re

from daemon.words.recorded import recorded

#: Since then a prompt id of our own is taken and an interrupt can name its prompt.
OLDEST_USABLE = (0, 3, 57)
_VERSION = re.compile(r"v?(\d+)\.(\d+)(?:\.(\d+))?")


def parsed(version: str | None) -> tuple[int, int, int] | None:
    """Return the three numbers of ``v0.3.64-12-gabc`` and the like, or None."""
    found = _VERSION.match((version or "").strip())
    return (int(found[1]), int(found[2]), int(found[3] or 0)) if found else None


def why_unusable(version: str | None) -> str | None:
    """Return why a server of *version* gets no work, or None when it may have some."""
    numbers = parsed(version)
    needed = ".".join(map(str, OLDEST_USABLE))
    if numbers is None:
        return recorded("no_version", needed=needed)
    if numbers < OLDEST_USABLE:
        return recorded("old_version", version=version, needed=needed)
    return None
