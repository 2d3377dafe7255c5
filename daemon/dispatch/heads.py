"""Heads of the queues of one kind, in two orders; what is a head no longer stays until it comes up.

Each lies in an order once at most, which its place remembers.
"""

import heapq
from typing import Protocol

import msgspec

from daemon.dispatch.place import Place


class Heads(Protocol):
    """Heads in an order."""

    def __bool__(self) -> bool: ...

    def offer(self, place: Place) -> None:
        """Take in a head, if it does not lie here."""

    def first(self) -> Place | None:
        """Return the first one, which may be out of date."""

    def drop_first(self) -> None:
        """Forget the first one."""


class ByAge(Heads):
    """In the order of their places."""

    def __init__(self) -> None:
        self._heap: list[Place] = []

    def __bool__(self) -> bool:
        return bool(self._heap)

    def offer(self, place: Place) -> None:
        """See ``Heads``."""
        if not place.is_by_age:
            place.is_by_age = True
            heapq.heappush(self._heap, place)

    def first(self) -> Place | None:
        """See ``Heads``."""
        return self._heap[0] if self._heap else None

    def drop_first(self) -> None:
        """See ``Heads``."""
        heapq.heappop(self._heap).is_by_age = False


class _Turn(msgspec.Struct, frozen=True, order=True, gc=False):
    urgency: int
    latest: int
    place: Place


class ByTurn(Heads):
    """By priority, then by their turn at the latest."""

    def __init__(self) -> None:
        self._heap: list[_Turn] = []

    def __bool__(self) -> bool:
        return bool(self._heap)

    def offer(self, place: Place) -> None:
        """See ``Heads``."""
        if not place.is_by_turn:
            place.is_by_turn = True
            heapq.heappush(self._heap, _Turn(place.urgency, place.latest, place))

    def first(self) -> Place | None:
        """See ``Heads``."""
        return self._heap[0].place if self._heap else None

    def drop_first(self) -> None:
        """See ``Heads``."""
        heapq.heappop(self._heap).place.is_by_turn = False
