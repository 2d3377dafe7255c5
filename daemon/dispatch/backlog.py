"""Waiting rows that dispatch has not looked at yet: their ids alone, by priority, oldest first.

A hundred thousand rows may wait while a server needs the next few. Those behind them cost eight
bytes each here, and are neither read nor judged before their turn is near.
"""

from collections import deque
from collections.abc import Callable


class Backlog:
    """Lines of task ids; one of a task that left, or came forward by itself, is passed over."""

    def __init__(self) -> None:
        self._lines: dict[int, deque[str]] = {}

    def __bool__(self) -> bool:
        return bool(self._lines)

    def add(self, task_id: str, priority: int) -> None:
        """Put a task behind all of its priority."""
        self._lines.setdefault(priority, deque()).append(task_id)

    def has(self, priority: int) -> bool:
        """Say whether there are tasks of this priority."""
        return priority in self._lines

    def is_above(self, priority: int) -> bool:
        """Say whether there are tasks of a higher priority than this."""
        return any(each > priority for each in self._lines)

    def draw(self, count: int, look: Callable[[str, int], None]) -> None:
        """Have *look* called with the first *count* tasks of the highest priority, one by one.

        One at which it raises stays the first.
        """
        priority = max(self._lines)
        line = self._lines[priority]
        for _ in range(min(count, len(line))):
            look(line[0], priority)
            line.popleft()
        if not line:
            del self._lines[priority]
