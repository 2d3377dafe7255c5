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
    OLD = auto()  #: we do not know it yet, but it was last written long ago: as at a start
    RENAMED = auto()  #: it was renamed to where it lies, as one does with what is whole
    STILL = auto()  #: we watched it keep still for the settling time


class Settling:
    """Remembers since when each file has kept its size and mtime."""

    def __init__(self, settle_seconds: float) -> None:
        self._settle_seconds = settle_seconds
        self._since: dict[str, tuple[Sight, float]] = {}
        self._renamed: dict[str, Sight] = {}

    def look(
        self, path: str, sight: Sight, *, monotonic: float, wall: float, renamed: bool = False
    ) -> Rest:
        """Return the state of rest of *path*, seen now as *sight*.

        *monotonic* are seconds that never go back, *wall* are seconds since the epoch, as in
        mtime. An mtime in the future (another machine's clock) never counts as old. *renamed*: it
        came by a rename since the last look, and was not written to since; that holds until it is.
        """
        if renamed:
            self._renamed[path] = sight
        known, since = self._since.get(path, (None, monotonic))
        if known != sight:
            since = monotonic
            self._since[path] = (sight, since)
        if monotonic - since >= self._settle_seconds:
            return Rest.STILL
        if self._renamed.get(path) == sight:
            return Rest.RENAMED
        if wall - sight.mtime_ns / 1e9 >= self._settle_seconds:
            return Rest.OLD
        return Rest.MOVING

    def keep_only(self, paths: set[str]) -> None:
        """Forget all files but *paths*."""
        self._since = {path: seen for path, seen in self._since.items() if path in paths}
        self._renamed = {path: sight for path, sight in self._renamed.items() if path in paths}
