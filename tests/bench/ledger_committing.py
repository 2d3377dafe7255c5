"""Committers at work on a ledger of some size: what the benchmarks of updates share."""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TypeAlias

from daemon.running import loop_first
from daemon.upkeep.freed_memory import keep_little
from ledger.jsondir.store import JsonDirBackend
from ledger.ledger import Ledger
from ledger.task import Task
from tests.bench.ledger_records import NOW, collecting_task, write_ledger
from tests.fakes.records import batch_record

#: Each committer changes tasks of its own, so that none has to wait for another's version.
TASKS_EACH = 16
#: Records that each committer has ready: as many as 64 of them commit in a turn.
MADE_BEFORE = 100

Commit: TypeAlias = Callable[[Task], Awaitable[None]]
COMMITTERS = 65  # at most, by all who commit to the same ledger


@asynccontextmanager
async def ledger_of(folder: Path, tasks: int) -> AsyncIterator[Ledger]:
    """Open a ledger of so many tasks, all but the committers' finished, in a new folder.

    Its process is set up as the daemon's is, for all that is measured beside it, too.
    """
    write_ledger(folder, tasks, collecting_tasks=min(tasks, COMMITTERS * TASKS_EACH))
    ledger = Ledger(JsonDirBackend(folder))
    await ledger.open()
    await ledger.commit(batch_record("warm"), op="batch.accepted")
    await ledger.compact()  # the next snapshot comes when the share of time allows
    keep_little()
    with loop_first():
        yield ledger
    await ledger.close()


class Committer:
    """Commits full records, one after the other, and knows how long each took."""

    def __init__(self, commit: Commit, number: int) -> None:
        self._commit = commit
        first = 1 + number * TASKS_EACH
        self._tasks = [collecting_task(first + place) for place in range(TASKS_EACH)]
        self._turn = 0
        self._made: deque[Task] = deque()
        self.seconds: list[float] = []

    def prepare(self, count: int) -> None:
        """Make *count* records before the clock runs, as SQLite's are; later ones meanwhile."""
        while len(self._made) < count:
            self._made.append(self._make())

    def _make(self) -> Task:
        place = self._turn % TASKS_EACH
        self._turn += 1
        self._tasks[place] = self._tasks[place].changed(at=NOW)
        return self._tasks[place]

    async def commit_for(self, seconds: float) -> None:
        self.seconds.clear()
        until = time.perf_counter() + seconds
        while (began := time.perf_counter()) < until or not self.seconds:
            await self._commit(self._made.popleft() if self._made else self._make())
            self.seconds.append(time.perf_counter() - began)


class Figures:
    """What committers reached together."""

    def __init__(self, committers: list[Committer], seconds: float) -> None:
        taken = sorted(each for committer in committers for each in committer.seconds)
        self.per_second = len(taken) / seconds
        self.p50_seconds = taken[len(taken) // 2]
        self.p99_seconds = taken[len(taken) * 99 // 100]
        self.worst_seconds = taken[-1]


class Committers:
    """So many at the same time, each with tasks of its own, again and again."""

    def __init__(self, commit: Commit, count: int, *, first: int = 0) -> None:
        self._committers = [Committer(commit, number) for number in range(first, first + count)]

    async def commit_for(self, seconds: float) -> Figures:
        for each in self._committers:
            each.prepare(MADE_BEFORE)
        began = time.perf_counter()
        await asyncio.gather(*(each.commit_for(seconds) for each in self._committers))
        return Figures(self._committers, time.perf_counter() - began)


def into(ledger: Ledger) -> Commit:
    """Return what commits a task to the ledger."""
    return partial(ledger.commit, op="task.published")
