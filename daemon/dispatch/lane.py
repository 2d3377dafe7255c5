"""One server's lane: settles what it may have lost, then keeps the server's slots filled."""

import asyncio

import structlog

from daemon.clock import Clock
from daemon.comfy.server import AnswerLost, Unreachable
from daemon.dispatch.ready import ReadyRows
from daemon.dispatch.servers import ServerState
from daemon.dispatch.submission import CannotRun, Submission
from daemon.logs import about
from daemon.running import Crew
from daemon.settle.gpu_memory import must_be_freed
from daemon.settle.settlement import Settlement
from daemon.settle.streaks import Streaks
from ledger.batch import BatchStatus
from ledger.errors import Conflict, LedgerClosed
from ledger.ledger import Ledger
from ledger.status import IN_FLIGHT_STAGES, Stage
from ledger.task import Task

log = structlog.get_logger()

#: The safety net under the change feed.
IDLE_SECONDS = 5.0


class Lane:
    """Feeds one server with at most ``max_in_flight`` prompts; the other rows wait with us."""

    def __init__(
        self,
        state: ServerState,
        *,
        ledger: Ledger,
        ready: ReadyRows,
        submission: Submission,
        settlement: Settlement,
        streaks: Streaks,
        clock: Clock,
    ) -> None:
        self.name = f"dispatch:{state.name}"
        self.wake = asyncio.Event()
        self._state = state
        self._ledger = ledger
        self._ready = ready
        self._submission = submission
        self._settlement = settlement
        self._streaks = streaks
        self._clock = clock
        self._crew = Crew(state.settings.max_in_flight, freed=self.wake.set)
        self._inside: dict[str, Stage] = {}  # tasks of ours that may be in the server
        for task in ledger.in_stage(*IN_FLIGHT_STAGES, server=state.name):
            self.follow(task)

    def follow(self, task: Task) -> None:
        """Take in a durable change of a task; one that leaves this server frees a slot."""
        if task.server == self._state.name and task.stage in IN_FLIGHT_STAGES:
            self._inside[task.task_id] = task.stage
        elif self._inside.pop(task.task_id, None) is not None:
            self.wake.set()

    def offer(self) -> None:
        """Look for a row, if one can be taken; a freed slot, or a server that comes back, wakes us.

        Most rows come and go while all servers are busy: a look for nothing costs more than each.
        """
        if not self.wake.is_set() and self._state.takes_work and self._free_slots() > 0:
            self.wake.set()

    async def run(self, stop: asyncio.Event) -> None:
        """Feed the server until *stop*; submissions that have begun are brought to their end."""
        while not stop.is_set():
            self.wake.clear()
            pause_seconds = IDLE_SECONDS
            if self._state.takes_work and self._ledger.writable and not self._ledger.damage:
                pause_seconds = await self._work()
            self._crew.check()
            await self._clock.pause(pause_seconds, self.wake, stop)
        await self._crew.finish()

    async def _work(self) -> float:
        """Settle what is unknown, then fill the slots; returns when to come back at the latest."""
        try:
            pause_seconds = await self._settle_unknown()
        except (Unreachable, AnswerLost, LedgerClosed) as error:
            log.warning("dispatch.cannot_look", server=self._state.name, error=str(error))
            return IDLE_SECONDS
        for _ in range(self._free_slots()):
            if (task := self._next_task()) is None:
                break
            self._crew.start(task.task_id, self._submit(task), about(task, self._state.name))
        next_seconds = self._ready.seconds_to_next()
        return min(pause_seconds, next_seconds if next_seconds is not None else IDLE_SECONDS)

    async def _settle_unknown(self) -> float:
        """Look after submissions whose answer was lost, here or before a restart."""
        unknown = [
            self._ledger.task(task_id)
            for task_id, stage in self._inside.items()
            if stage is Stage.SUBMITTING and task_id not in self._crew
        ]
        if not unknown:
            return IDLE_SECONDS
        settled = await self._settlement.settle(self._state.client, self._state.settings, unknown)
        for task in settled.submit_again:
            self._crew.start(task.task_id, self._submit_again(task), about(task))
        if settled.look_again_in_seconds is not None:
            return min(IDLE_SECONDS, settled.look_again_in_seconds)
        return IDLE_SECONDS

    def _free_slots(self) -> int:
        """Return how many more prompts the server may get now."""
        free = self._state.settings.max_in_flight - len(self._inside)
        if free <= 0:
            return 0
        return free - sum(1 for task_id in self._crew if task_id not in self._inside)

    def _next_task(self) -> Task | None:
        state = self._state
        return self._ready.take(state.name, state.last_type, state.streak, self._batch_runs)

    def _batch_runs(self, batch_id: str) -> bool:
        """Say whether its waiting rows may be spent; its record may not say yet that it failed."""
        status = self._ledger.index.batch_status(batch_id)
        if status is None:
            return True
        return status is BatchStatus.RUNNING and not self._streaks.too_long(batch_id)

    async def _submit(self, task: Task) -> None:
        try:
            if must_be_freed(task, self._state.name):
                await self._state.client.free_memory()
            await self._submission.submit(task, self._state)
        except CannotRun as error:
            self._ready.exclude(task, self._state.name, error.kind, str(error))
        except (Unreachable, AnswerLost) as error:  # before anything was posted
            self._state.lost()
            log.warning("task.not_submitted", task=task.task_id, error=str(error))
        except Conflict:
            log.info("task.changed_meanwhile", task=task.task_id)
        except LedgerClosed as error:  # nothing was posted: the intent was not on disk
            log.error("task.not_recorded", task=task.task_id, error=str(error))  # noqa: TRY400 - no fault
        finally:
            self._ready.give_back(task.task_id)

    async def _submit_again(self, task: Task) -> None:
        try:
            await self._submission.submit_again(task, self._state)
        except (Unreachable, AnswerLost) as error:  # stays submitting; settled at the next look
            log.warning("task.not_submitted", task=task.task_id, error=str(error))
        except Conflict:
            log.info("task.changed_meanwhile", task=task.task_id)
        except LedgerClosed as error:
            log.error("task.not_recorded", task=task.task_id, error=str(error))  # noqa: TRY400 - no fault
