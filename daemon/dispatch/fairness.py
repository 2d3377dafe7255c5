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


class Turn(msgspec.Struct, frozen=True, gc=False):
    """A waiting row's turn at the latest, counted by ``Line.gone``."""

    priority: int
    latest: int


class Fairness:
    """Remembers for each waiting row how many of its priority may go before it."""

    def __init__(self) -> None:
        self._lines: dict[int, Line] = {}
        self._turns: dict[str, Turn] = {}  # by task

    def enter(self, task_id: str, priority: int) -> None:
        """Give a row its place behind all of its priority; one that has a place there keeps it."""
        if (turn := self._turns.get(task_id)) is not None and turn.priority == priority:
            return
        self.leave(task_id)
        line = self._lines.setdefault(priority, Line())
        line.waiting += 1
        self._turns[task_id] = Turn(priority, line.gone + PATIENCE * line.waiting)

    def leave(self, task_id: str) -> None:
        """Take out a row that waits no longer."""
        if (turn := self._turns.pop(task_id, None)) is None:
            return
        line = self._lines[turn.priority]
        line.waiting -= 1
        if not line.waiting:
            del self._lines[turn.priority]

    def took(self, task_id: str) -> None:
        """Count a row that goes; it may come back."""
        self._lines[self._turns[task_id].priority].gone += 1

    def latest_turn(self, task_id: str) -> int:
        """Return its turn at the latest, to be compared with others of its priority."""
        return self._turns[task_id].latest

    def is_late(self, task_id: str) -> bool:
        """Say whether the row must go now to keep its latest turn."""
        turn = self._turns[task_id]
        return turn.latest <= self._lines[turn.priority].gone + 1
