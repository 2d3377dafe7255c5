"""The sha256 of a file that grows, computed beside its writing."""

import hashlib
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor

#: So many gatherings at most are held for the hash. Writing and hashing take about as long, each
#: now and then longer; with no room between them both wait for the slower one of each gathering.
HELD_GATHERINGS = 4


class Digest:
    """Hashes what it is given, in order and in a thread of its own, while its owner goes on.

    One owner calls at a time; all functions may block.
    """

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="hashing")
        self._held: deque[Future[None]] = deque()
        self._hash = hashlib.sha256()

    def update(self, pieces: Sequence[bytes]) -> None:
        """Take the pieces behind those before; waits only while too many gatherings are held."""
        while len(self._held) >= HELD_GATHERINGS:
            self._held.popleft().result()
        self._held.append(self._thread.submit(self._take, pieces))

    def hexdigest(self) -> str:
        """Return the hash of all that was given."""
        self._catch_up()
        return self._hash.hexdigest()

    def forget(self) -> None:
        """Begin anew, as if nothing had been given."""
        self._catch_up()
        self._hash = hashlib.sha256()

    def close(self) -> None:
        """End the thread once it is done with what it holds."""
        self._thread.shutdown()

    def _catch_up(self) -> None:
        while self._held:
            self._held.popleft().result()

    def _take(self, pieces: Sequence[bytes]) -> None:
        for piece in pieces:
            self._hash.update(piece)
