"""Seeing stuck tasks to their end: what their servers still hold is cancelled, then all settled."""

import asyncio
from collections.abc import Mapping, Sequence

import structlog

from config.settings import Server
from daemon.clock import Clock
from daemon.comfy.server import AnswerLost, Unreachable, WorkflowServer
from daemon.settle.settlement import Settlement, ticket_of
from ledger.entry import Transaction
from ledger.ledger import Ledger
from ledger.status import IN_FLIGHT_STAGES, Stage
from ledger.task import Task

log = structlog.get_logger()

#: How long a recovery waits for cancelled prompts to end, beyond the server's settling time; what
#: ends later is reset then, by the follower.
ENDING_SECONDS = 12.0
_LOOK_SECONDS = 0.5
#: Changes that put a task back because it was lost, or because that was asked for.
_RESETS = frozenset({"task.run_again", "task.as_requested", "task.reset"})


class Treatment:
    """Settles the attempts of stuck tasks, all servers at once.

    *followed*: a ``Follower`` runs beside it and carries out what is requested; without one it is
    done here. A crash leaves requested resets, which the next start carries out.
    """

    def __init__(
        self,
        ledger: Ledger,
        servers: Mapping[str, tuple[WorkflowServer, Server]],
        settlement: Settlement,
        clock: Clock,
        *,
        followed: bool,
    ) -> None:
        self._ledger = ledger
        self._servers = servers
        self._settlement = settlement
        self._clock = clock
        self._followed = followed

    async def settle(self, tasks: Sequence[Task], actor: str) -> None:
        """Settle the attempts that *tasks* stand for; a server that is gone keeps its own."""
        by_server: dict[str, list[Task]] = {}
        for task in tasks:
            by_server.setdefault(task.server or "", []).append(task)
        await asyncio.gather(
            *(
                self._settle_on(name, tasks, actor)
                for name, tasks in by_server.items()
                if name in self._servers
            )
        )

    async def _settle_on(self, name: str, tasks: Sequence[Task], actor: str) -> None:
        """Settle the tasks of one server until they are, or for as long as anybody may wait."""
        server, settings = self._servers[name]
        deadline = self._clock.monotonic() + settings.settle_seconds + ENDING_SECONDS
        try:
            if not self._followed:
                await self._cancel(server, tasks)
            while left := still_inside(self._ledger, tasks):
                settled = await self._settlement.settle(server, settings, left, actor=actor)
                again_seconds = settled.look_again_in_seconds
                waits = again_seconds is not None or any(task.requested for task in left)
                if not waits or self._clock.monotonic() > deadline:
                    return
                await self._clock.pause(min(again_seconds or _LOOK_SECONDS, _LOOK_SECONDS))
        except (Unreachable, AnswerLost) as error:
            log.warning("recovery.postponed", server=name, tasks=len(tasks), error=str(error))

    async def _cancel(self, server: WorkflowServer, tasks: Sequence[Task]) -> None:
        for task in still_inside(self._ledger, tasks):
            if task.requested is not None:
                await server.cancel(ticket_of(task))


class Resets:
    """Notes which of some tasks are put back, whoever is the quickest to do it."""

    def __init__(self, wanted: set[str]) -> None:
        self._wanted = wanted
        self.task_ids: list[str] = []

    def follow(self, transaction: Transaction) -> None:
        """Note what a durable transaction puts back: a listener of the ledger."""
        for record in transaction.records:
            if (
                isinstance(record, Task)
                and record.stage is Stage.WAITING
                and record.task_id in self._wanted
                and transaction.op in _RESETS
            ):
                self._wanted.discard(record.task_id)
                self.task_ids.append(record.task_id)


def still_inside(ledger: Ledger, tasks: Sequence[Task]) -> list[Task]:
    """Return those whose attempt has not been settled yet, as they stand."""
    now = [ledger.task(task.task_id) for task in tasks]
    return [
        task
        for task, before in zip(now, tasks, strict=True)
        if task.stage in IN_FLIGHT_STAGES and task.attempt == before.attempt
    ]
