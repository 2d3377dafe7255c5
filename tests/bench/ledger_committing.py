"""Committers at work on a ledger of some size: what the benchmarks of updates share."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from statistics import quantiles

from ledger.jsondir.store import JsonDirBackend
from ledger.ledger import Ledger
from tests.bench.ledger_records import NOW, collecting_task, write_ledger

#: Each committer changes tasks of its own, so that none has to wait for another's version.
TASKS_EACH = 16
COMMITTERS = 64  # at most


@asynccontextmanager
async def ledger_of(folder: Path, tasks: int) -> AsyncIterator[Ledger]:
    """Open a ledger of so many tasks, all but the committers' finished, in a new folder."""
    write_ledger(folder, tasks, collecting_tasks=min(tasks, COMMITTERS * TASKS_EACH))
    ledger = Ledger(JsonDirBackend(folder))
    await ledger.open()
    yield ledger
    await ledger.close()


class Committer:
    """Commits full records, one after the other, and knows how long each took."""

    def __init__(self, ledger: Ledger, number: int) -> None:
        self._ledger = ledger
        first = 1 + number * TASKS_EACH
        self._tasks = [collecting_task(first + place) for place in range(TASKS_EACH)]
        self._turn = 0
        self.seconds: list[float] = []

    async def commit(self) -> None:
        place = self._turn % TASKS_EACH
        task = (
            self._ledger.task(self._tasks[place].task_id)
            if self._turn < TASKS_EACH
            else self._tasks[place]
        )
        self._turn += 1
        changed = task.changed(at=NOW)
        began = time.perf_counter()
        await self._ledger.commit(changed, op="task.published")
        self.seconds.append(time.perf_counter() - began)
        self._tasks[place] = changed

    async def commit_for(self, seconds: float) -> None:
        until = time.perf_counter() + seconds
        while time.perf_counter() < until:
            await self.commit()


class Figures:
    """What committers reached together."""

    def __init__(self, committers: list[Committer], seconds: float) -> None:
        taken = sorted(each for committer in committers for each in committer.seconds)
        self.per_second = len(taken) / seconds
        marks = quantiles(taken, n=100)
        self.p50_seconds, self.p99_seconds = marks[49], marks[98]
        self.worst_seconds = taken[-1]


async def commit_together(ledger: Ledger, committers: int, seconds: float) -> Figures:
    """Let so many commit at the same time for so long."""
    at_work = [Committer(ledger, number) for number in range(committers)]
    began = time.perf_counter()
    await asyncio.gather(*(each.commit_for(seconds) for each in at_work))
    return Figures(at_work, time.perf_counter() - began)
