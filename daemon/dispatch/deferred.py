"""Waiting tasks that may run only at a moment to come, by the clock that never leaps."""

import heapq
from collections.abc import Iterator

from daemon.clock import Clock


class Deferred:
    """Their ids, those due first in front."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._heap: list[tuple[float, str]] = []  # monotonic, task
        self._due: dict[str, float] = {}  # of each task the moment that counts

    def add(self, task_id: str, wait_seconds: float) -> None:
        """Hold the task back for so long from now, whatever was said of it before."""
        due = self._due[task_id] = self._clock.monotonic() + wait_seconds
        heapq.heappush(self._heap, (due, task_id))

    def take_due(self) -> Iterator[str]:
        """Yield the tasks that are due by now, each once."""
        now = self._clock.monotonic()
        while self._heap and self._heap[0][0] <= now:
            due, task_id = heapq.heappop(self._heap)
            if self._due.get(task_id) == due:
                del self._due[task_id]
                yield task_id

    def seconds_to_next(self) -> float | None:
        """Return how long until one is due, or None."""
        if not self._heap:
            return None
        return max(0.0, self._heap[0][0] - self._clock.monotonic())
