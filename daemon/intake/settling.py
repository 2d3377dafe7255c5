"""Has a file come to rest? Decided from what ``stat`` said over time; pure."""

from enum import Enum, auto

import msgspec


class Sight(msgspec.Struct, frozen=True, gc=False):
    """What ``stat`` said of a file; another sight is another file, or one that was written to."""

    size_bytes: int
    mtime_ns: int
    inode: int


class Rest(Enum):
    """How sure we are that nobody writes a file any more."""

    MOVING = auto()  #: changed within the settling time
    OLD = auto()  #: we do not know it yet, but it was last written long ago: a rename, or a start
    STILL = auto()  #: we watched it keep still for the settling time


class Settling:
    """Remembers since when each file has kept its size and mtime."""

    def __init__(self, settle_seconds: float) -> None:
        self._settle_seconds = settle_seconds
        self._since: dict[str, tuple[Sight, float]] = {}

    def look(self, path: str, sight: Sight, *, monotonic: float, wall: float) -> Rest:
        """Return the state of rest of *path*, seen now as *sight*.

        *monotonic* are seconds that never go back, *wall* are seconds since the epoch, as in
        mtime. An mtime in the future (another machine's clock) never counts as old.
        """
        known, since = self._since.get(path, (None, monotonic))
        if known != sight:
            since = monotonic
            self._since[path] = (sight, since)
        if monotonic - since >= self._settle_seconds:
            return Rest.STILL
        if wall - sight.mtime_ns / 1e9 >= self._settle_seconds:
            return Rest.OLD
        return Rest.MOVING

    def keep_only(self, paths: set[str]) -> None:
        """Forget all files but *paths*."""
        self._since = {path: seen for path, seen in self._since.items() if path in paths}
