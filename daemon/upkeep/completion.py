"""For ``run --once``: notices that nothing is left to do."""

import asyncio
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import Protocol

import structlog

from daemon.clock import Clock
from daemon.upkeep.outcome import Endings, Outcome, reasons_of
from ledger.batch import BatchStatus
from ledger.ledger import Ledger
from ledger.slices import in_turns
from ledger.status import IN_PROCESS_STAGES, OPEN_STAGES, Stage
from ledger.task import Task

log = structlog.get_logger()

#: How often it is asked; the answer costs next to nothing.
ASK_SECONDS = 0.1
#: Rows must stay blocked for so long: a block may be lifted by the next look at a server.
BLOCKED_SECONDS = 3.0


class Busy(Protocol):
    """What still may bring rows, or has something to tell of them."""

    @property
    def idle(self) -> bool:
        """Whether it has looked at least once and nothing is left for it to do."""
        ...


class Completion:
    """Sets *stop* when every row has ended or is blocked, none comes, and all is told."""

    name = "completion"

    def __init__(
        self,
        ledger: Ledger,
        endings: Endings,
        others: Sequence[Busy],
        clock: Clock,
        *,
        hindered: Callable[[], bool] = lambda: False,
        refused: Callable[[], int] = lambda: 0,
    ) -> None:
        """Watch the *ledger*, in which *endings* has counted since the start, and the *others*.

        *hindered*: whether a table could not be read or written to the end.
        *refused*: how many rows of tables cannot run, or do not without a person.
        """
        self._hindered = hindered
        self._refused = refused
        self._ledger = ledger
        self._endings = endings
        self._others = others
        self._clock = clock
        self._is_over = False

    def outcome(self) -> Outcome:
        """Return what became of all that we watched."""
        return Outcome(
            done=self._endings.done,
            failed=self._endings.failed,
            rejected=self._rejected,
            waiting=reasons_of(self._ledger, self._open_tasks()),
            tables_hindered=self._hindered(),
        )

    @property
    def left_undone(self) -> bool:
        """Whether a row failed or was rejected, some are blocked, or a table was not told.

        Also when somebody else ended the run: nobody knows what was still to come.
        """
        refused = self._endings.failed + self._rejected > 0
        return not self._is_over or refused or self._hindered() or self._any_open

    @property
    def _rejected(self) -> int:
        return self._endings.rejected + self._refused()

    @property
    def _any_open(self) -> bool:
        counts = self._ledger.counts()
        return any(counts[stage] for stage in OPEN_STAGES)

    async def run(self, stop: asyncio.Event) -> None:
        """Watch until nothing is left to do, then stop the daemon."""
        idle_since: float | None = None
        while not stop.is_set():
            now = self._clock.monotonic()
            busy = not all(each.idle for each in self._others)
            if busy or await in_turns(self._finds_work()):
                idle_since = None
            else:
                idle_since = now if idle_since is None else idle_since
                if now - idle_since >= (BLOCKED_SECONDS if self._any_open else 0.0):
                    self._is_over = True
                    stop.set()
                    return
            await self._clock.pause(ASK_SECONDS, stop)

    def _finds_work(self) -> Generator[None, None, bool]:
        """Find out, row by row, whether an open task is expected to go on by itself."""
        for task in self._open_tasks():
            if self._may_run(task):
                return True
            yield
        return False

    def _open_tasks(self) -> Iterator[Task]:
        """Yield the open tasks, few first: mostly the first one answers."""
        for stage in IN_PROCESS_STAGES:
            yield from self._ledger.in_stage(stage)
        yield from self._ledger.each_in_stage(Stage.WAITING)

    def _may_run(self, task: Task) -> bool:
        """Say whether an open task is expected to go on by itself.

        Not when it is blocked; nor when it waits in a batch that does not run, or because no
        server can run it (an error, but no moment for its next attempt).
        """
        if task.blocked_by is not None:
            return False
        if task.stage is not Stage.WAITING:
            return True
        if task.error_kind is not None and task.not_before is None:
            return False
        batch = self._ledger.batch(task.batch_id)
        if batch.status is BatchStatus.RUNNING:
            return True
        return task.retried_from is not None and task.created_at >= (batch.halted_at or "")
