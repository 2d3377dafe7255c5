"""Tasks whose files are to be fetched, in the order in which they may be asked for."""

import heapq
from itertools import count

#: First and longest pause before a task's files are asked for again.
BACKOFF_SECONDS = (1.0, 60.0)


class Backlog:
    """Knows every task in ``collecting``: it waits here, or somebody took it."""

    def __init__(self) -> None:
        self._waiting: list[tuple[float, int, str]] = []  # due (monotonic), turn, task id
        self._turns = count()
        self._known: set[str] = set()
        self._pauses: dict[str, float] = {}  # task id -> seconds of its last pause

    def add(self, task_id: str, now: float) -> None:
        """Take in a task that may be asked for at once; one that is known is left as it is."""
        if task_id not in self._known:
            self._put(task_id, now)

    def take(self, now: float) -> str | None:
        """Return the next task that is due, and keep it from others; None when none is."""
        if not self._waiting or self._waiting[0][0] > now:
            return None
        return heapq.heappop(self._waiting)[2]

    def postpone(self, task_id: str, now: float) -> float:
        """Put a taken task back for later, each time twice as late; returns the seconds."""
        shortest, longest = BACKOFF_SECONDS
        seconds = min(max(2 * self._pauses.get(task_id, 0.0), shortest), longest)
        self._pauses[task_id] = seconds
        self._put(task_id, now + seconds)
        return seconds

    def forget(self, task_id: str) -> None:
        """Say that a taken task is done with."""
        self._known.discard(task_id)
        self._pauses.pop(task_id, None)

    def seconds_to_next(self, now: float) -> float | None:
        """Return how long until a task is due, None when none waits."""
        return max(0.0, self._waiting[0][0] - now) if self._waiting else None

    def _put(self, task_id: str, due: float) -> None:
        self._known.add(task_id)
        heapq.heappush(self._waiting, (due, next(self._turns), task_id))
