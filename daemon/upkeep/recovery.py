"""Settles the work that was open when the last process ended, as far as can be before new work.

Every task in submitting, queued and running gets its verdict from evidence (``Settlement``), many
at a time, one read of the queue per server and portion; until then the doors stay closed. What a
server does not know has to be waited for: that goes on behind the opened doors, and keeps nobody
waiting but its own rows. Nor is there a risk in what runs beside: prompts are told apart by their
ids, results by the attempt's folder, and the undecided ones hold their slots. A server that is
down, or does not answer for long, postpones its own tasks only. Tasks in ``collecting`` need no
verdict: their download resumes.

Each verdict is durable at once. Since when a server does not know a prompt is noted before it is
waited for, so that starts that are killed while they wait add up to one that is not.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

import msgspec
import structlog

from config.settings import Server
from daemon.clock import Clock
from daemon.comfy.server import AnswerLost, Unreachable, WorkflowServer
from daemon.running import Crew
from daemon.settle.absences import SECTION as ABSENCES
from daemon.settle.absences import forgotten
from daemon.settle.settlement import Settlement
from ledger.entry import Meta
from ledger.errors import LedgerClosed
from ledger.ledger import Ledger
from ledger.status import IN_FLIGHT_STAGES, Stage
from ledger.task import Task

log = structlog.get_logger()

#: Tasks asked about at a time, so that memory does not grow with the number of open tasks.
PORTION = 200
#: When no server has told us anything new for so long, the others need not wait for the rest.
PATIENCE_SECONDS = 10.0


class Recovered(msgspec.Struct, frozen=True, kw_only=True):
    """What recovery found before the doors opened; each number counts tasks."""

    open: int
    settled: int
    undecided: int  # their server does not know them; it is asked again behind the opened doors
    postponed: int  # their server does not answer
    collecting: int  # their download goes on behind the opened doors


Report: TypeAlias = Callable[[str, int, int], None]  # server, settled so far, of how many


class Recovery:
    """Settles the open work of an earlier process: ``recover``, then ``run`` beside the others."""

    name = "recovery"

    def __init__(
        self,
        ledger: Ledger,
        servers: Mapping[str, tuple[WorkflowServer, Server]],
        settlement: Settlement,
        clock: Clock,
        report: Report = lambda _server, _settled, _total: None,
    ) -> None:
        self._ledger = ledger
        self._servers = servers
        self._settlement = settlement
        self._clock = clock
        self._report = report
        self._news = asyncio.Event()
        self._crew = Crew(len(servers), freed=self._news.set)
        self._asked: set[str] = set()  # servers that have not told of all their tasks yet
        self._counts: Counter[str] = Counter()

    async def recover(self, stop: asyncio.Event) -> Recovered:
        """Give open tasks their verdict, all servers at once; returns when new work may begin.

        By then each server has been asked about all its tasks, or does not answer. Ended by
        *stop*, after which nothing is under way; the next start goes on.
        """
        open_tasks = self._ledger.in_stage(*IN_FLIGHT_STAGES)
        for workflow_type, count in sorted(Counter(t.workflow_type for t in open_tasks).items()):
            log.info("recovery.found", workflow_type=workflow_type, tasks=count)
        by_server: dict[str, list[Task]] = {}
        for task in open_tasks:
            by_server.setdefault(task.server or "", []).append(task)
        for name, tasks in by_server.items():
            self._begin(name, tasks)
        await self._first_looks(stop)
        settled, undecided = self._counts["settled"], self._counts["undecided"]
        recovered = Recovered(
            open=len(open_tasks),
            settled=settled,
            undecided=undecided,
            postponed=len(open_tasks) - settled - undecided,
            collecting=len(self._ledger.in_stage(Stage.COLLECTING)),
        )
        log.info("recovery.ended", **msgspec.structs.asdict(recovered))
        return recovered

    async def run(self, stop: asyncio.Event) -> None:
        """Look again at what servers did not know; ended by *stop*, the next start goes on."""
        try:
            while self._crew and not stop.is_set():
                self._news.clear()
                self._crew.check()
                await self._clock.pause(PATIENCE_SECONDS, self._news, stop)
            self._crew.check()
        finally:
            await self._end()

    async def _first_looks(self, stop: asyncio.Event) -> None:
        """Wait until all servers have told of their tasks, or none has had news for long."""
        try:
            while self._asked and not stop.is_set():
                self._news.clear()
                await self._clock.pause(PATIENCE_SECONDS, self._news, stop)
                self._crew.check()
                if not (self._news.is_set() or stop.is_set()):
                    log.warning("recovery.not_waited_for", servers=sorted(self._asked))
                    self._asked.clear()
        except BaseException:
            self._crew.cancel()
            raise
        if stop.is_set():
            await self._end()

    async def _end(self) -> None:
        self._crew.cancel()
        await self._crew.finish()

    def _begin(self, name: str, tasks: Sequence[Task]) -> None:
        if name not in self._servers:
            log.error("recovery.unknown_server", server=name, tasks=len(tasks))
            return
        self._asked.add(name)
        self._settlement.left_to_recovery |= {task.task_id for task in tasks}
        ordered = sorted(tasks, key=lambda task: task.workflow_type)
        self._crew.start(name, self._recover_server(name, ordered))

    async def _recover_server(self, name: str, tasks: Sequence[Task]) -> None:
        """Look at the server's tasks, and once more at those that were absent."""
        server, settings = self._servers[name]
        self._settlement.absences.recall(self._ledger, name, tasks)
        try:
            absent, again_seconds = await self._look(server, settings, tasks, len(tasks))
            if absent:
                await self._note(self._settlement.absences.note(name, absent))
                self._told(name, undecided=len(absent))
                await self._clock.pause(again_seconds)
                still = [self._ledger.task(task.task_id) for task in absent]
                open_still = [task for task in still if task.stage in IN_FLIGHT_STAGES]
                left, _ = await self._look(server, settings, open_still, len(tasks))
                self._counts["undecided"] += len(left) - len(absent)
            await self._note(forgotten(name))
        except (Unreachable, AnswerLost, LedgerClosed) as error:  # the steps settle them later
            log.warning("recovery.postponed", server=name, error=str(error))
        finally:
            self._settlement.left_to_recovery -= {task.task_id for task in tasks}
            self._told(name)

    def _told(self, name: str, *, undecided: int = 0) -> None:
        """Take note that nobody has to wait for the server any more."""
        self._counts["undecided"] += undecided
        self._asked.discard(name)
        self._news.set()

    async def _note(self, note: Meta) -> None:
        """Write down what the next start, should this one be killed, need not wait for again."""
        if self._ledger.meta(ABSENCES).get(note.key) == note.value:
            return
        try:
            await self._ledger.commit(note, op="absences.noted")
        except LedgerClosed:  # writing comes back by itself; without a note it only takes longer
            log.debug("recovery.not_noted", server=note.key)

    async def _look(
        self, server: WorkflowServer, settings: Server, tasks: Sequence[Task], total: int
    ) -> tuple[list[Task], float]:
        """Settle *tasks*, of *total*, in portions.

        Returns those that were absent, and when to look at them again.
        """
        absent: list[Task] = []
        again_seconds = 0.0
        for start in range(0, len(tasks), PORTION):
            portion = tasks[start : start + PORTION]
            settled = await self._settlement.settle(server, settings, portion)
            absent += settled.undecided
            again_seconds = max(again_seconds, settled.look_again_in_seconds or 0.0)
            left = {task.task_id for task in settled.undecided}
            self._settlement.left_to_recovery -= {task.task_id for task in portion} - left
            self._counts["settled"] += len(portion) - len(left)
            settled_before = total - len(tasks)
            self._tell(server.name, settled_before + start + len(portion) - len(absent), total)
        return absent, again_seconds

    def _tell(self, server: str, settled: int, total: int) -> None:
        log.info("recovery.progress", server=server, settled=settled, tasks=total)
        if server in self._asked:  # behind the opened doors others tell how the work stands
            self._report(server, settled, total)
        self._news.set()
