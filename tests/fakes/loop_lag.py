"""Watches how long the event loop is held while something goes on."""

import asyncio
import gc
import time
from types import TracebackType
from typing import Self

BEAT_SECONDS = 0.002
#: What the loop may compute in one go, on the slowest machine that tests run on; here it is 0.05.
HELD_SECONDS = 0.15
#: Of the whole time, what tests allow one gap to take. Alone on a machine 50 ms are kept; in tests,
#: which share theirs with others, only the share means something.
WORST_SHARE = 0.2


class LoopLag:
    """Beats on the loop between entering and leaving; the longest gap is kept.

    ``held_seconds`` is the most that the loop's thread computed between two beats: what waits for
    a processor, or for another thread, is not in it, so it means the same on a loaded machine.
    """

    def __init__(self) -> None:
        self.worst_seconds = 0.0
        self.held_seconds = 0.0
        self.beats = 0
        self.total_seconds = 0.0

    @property
    def worst_share(self) -> float:
        return self.worst_seconds / self.total_seconds

    async def __aenter__(self) -> Self:
        gc.collect()  # what earlier tests left behind is not on this account
        self._began = time.perf_counter()
        self._beating = asyncio.create_task(self._beat())
        await asyncio.sleep(0)
        return self

    async def _beat(self) -> None:
        while True:
            began, computed = time.perf_counter(), time.thread_time()
            try:
                await asyncio.sleep(BEAT_SECONDS)
            finally:
                lag = time.perf_counter() - began - BEAT_SECONDS
                self.worst_seconds = max(self.worst_seconds, lag)
                self.held_seconds = max(self.held_seconds, time.thread_time() - computed)
                self.beats += 1

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.total_seconds = time.perf_counter() - self._began
        self._beating.cancel()
        await asyncio.wait([self._beating])
