"""How long affinity may keep a row waiting: twice as long as its place in line (pure).

A row that would be the tenth in the order of arrival is at the latest the twentieth to go. So the
runs of one type double in length: models are switched a few times in a batch of any size, and no
row waits more than twice as long, whatever jobs and switches cost.
"""

import msgspec

#: Of a row's place in the order of arrival.
PATIENCE = 2


class Line(msgspec.Struct):
    """The rows of one priority."""

    waiting: int = 0
    gone: int = 0


class Fairness:
    """Counts, for each priority, the rows that wait and those that have gone."""

    def __init__(self) -> None:
        self._lines: dict[int, Line] = {}

    def enter(self, priority: int) -> int:
        """Take in a row behind all of its priority; returns its turn at the latest.

        Turns are counted by the rows that have gone, and compared within a priority.
        """
        line = self._lines.setdefault(priority, Line())
        line.waiting += 1
        return line.gone + PATIENCE * line.waiting

    def leave(self, priority: int) -> None:
        """Take out a row that waits no longer."""
        line = self._lines[priority]
        line.waiting -= 1
        if not line.waiting:
            del self._lines[priority]

    def took(self, priority: int) -> None:
        """Count a row that goes; it may come back."""
        self._lines[priority].gone += 1

    def is_late(self, priority: int, latest: int) -> bool:
        """Say whether a row must go now to keep its *latest* turn."""
        return latest <= self._lines[priority].gone + 1
