"""Before new work is accepted: settles the work that was open when the last process ended.

Every task in submitting, queued and running gets its verdict from evidence (``Settlement``), many
at a time, one read of the queue per server and portion. A server that is down postpones its own
tasks only; they stay as they are and the steps settle them when it is back. Tasks in
``collecting`` need no verdict: their download resumes behind the opened doors.

Each verdict is durable at once. What a server does not know has to be waited for; since when it
does not is noted before, so that starts that are killed while they wait add up to one that is not.
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
#: A server that has not answered for so long does not hold up the others any more.
PATIENCE_SECONDS = 60.0


class Recovered(msgspec.Struct, frozen=True, kw_only=True):
    """What recovery found; each number counts tasks."""

    open: int
    settled: int
    postponed: int  # their server does not answer
    collecting: int  # their download goes on behind the opened doors


Report: TypeAlias = Callable[[str, int, int], None]  # server, settled so far, of how many


class Recovery:
    """Settles the open work of an earlier process."""

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

    async def recover(self) -> Recovered:
        """Give every open task its verdict, all servers at once; a dead one holds up nobody."""
        open_tasks = self._ledger.in_stage(*IN_FLIGHT_STAGES)
        collecting = len(self._ledger.in_stage(Stage.COLLECTING))
        for workflow_type, count in sorted(Counter(t.workflow_type for t in open_tasks).items()):
            log.info("recovery.found", workflow_type=workflow_type, tasks=count)
        by_server: dict[str, list[Task]] = {}
        for task in open_tasks:
            by_server.setdefault(task.server or "", []).append(task)
        settled = await asyncio.gather(
            *(self._recover_server(name, tasks) for name, tasks in by_server.items())
        )
        recovered = Recovered(
            open=len(open_tasks),
            settled=sum(settled),
            postponed=len(open_tasks) - sum(settled),
            collecting=collecting,
        )
        log.info("recovery.ended", **msgspec.structs.asdict(recovered))
        return recovered

    async def _recover_server(self, name: str, tasks: Sequence[Task]) -> int:
        """Return how many of the server's tasks were settled."""
        if name not in self._servers:
            log.error("recovery.unknown_server", server=name, tasks=len(tasks))
            return 0
        server, settings = self._servers[name]
        ordered = sorted(tasks, key=lambda task: task.workflow_type)
        self._settlement.absences.recall(self._ledger, name, ordered)
        settled = 0
        try:
            async with asyncio.timeout(PATIENCE_SECONDS + settings.settle_seconds):
                absent, again_seconds = await self._look(server, settings, ordered, len(tasks))
                settled = len(tasks) - len(absent)
                if absent:
                    await self._note(self._settlement.absences.note(name, absent))
                    await self._clock.pause(again_seconds)
                    await self._look(server, settings, absent, len(tasks))
        except (Unreachable, AnswerLost, TimeoutError) as error:
            log.warning(
                "recovery.postponed",
                server=name,
                tasks=len(tasks) - settled,
                error=str(error) or "it does not answer",
            )
            return settled
        await self._note(forgotten(name))
        return len(tasks)

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

        Returns those that were absent at first, and when to look at them again.
        """
        absent: list[Task] = []
        again_seconds = 0.0
        for start in range(0, len(tasks), PORTION):
            portion = tasks[start : start + PORTION]
            settled = await self._settlement.settle(server, settings, portion)
            if settled.look_again_in_seconds is not None:
                again_seconds = max(again_seconds, settled.look_again_in_seconds)
                absent += [
                    task
                    for task in portion
                    if (now := self._ledger.task(task.task_id)).version == task.version
                    and now.stage in IN_FLIGHT_STAGES
                ]
            settled_before = total - len(tasks)
            self._tell(server.name, settled_before + start + len(portion) - len(absent), total)
        return absent, again_seconds

    def _tell(self, server: str, settled: int, total: int) -> None:
        log.info("recovery.progress", server=server, settled=settled, tasks=total)
        self._report(server, settled, total)
