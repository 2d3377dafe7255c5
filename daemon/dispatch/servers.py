"""What dispatch knows of each server: does it answer, may it get work, what did it run last."""

import asyncio
import math
from collections.abc import Callable

import structlog

from config.settings import Server
from daemon.clock import Clock
from daemon.comfy.server import AnswerLost, Health, Unreachable, WorkflowServer
from daemon.dispatch.ready import ReadyRows
from daemon.running import unless_stopped
from daemon.settle.server_memory import ServerMemory, memory_of, noting
from ledger.errors import LedgerClosed
from ledger.ledger import Ledger
from ledger.task import Json
from ledger.timestamps import to_timestamp

log = structlog.get_logger()

#: Between two questions to a server that answers.
HEALTH_SECONDS = 10.0
#: First and longest pause before asking a silent server again; each doubles the one before.
BACKOFF_SECONDS = (0.5, 30.0)
#: How often rows that a server could not run are tried on it anew: it may have got the model.
READMIT_SECONDS = 60.0


class ServerState:
    """One server as seen by dispatch. Nothing here survives a restart except the ledger's part."""

    def __init__(self, settings: Server, client: WorkflowServer, ledger: Ledger) -> None:
        self.settings = settings
        self.client = client
        self._ledger = ledger
        self.health: Health | None = None  # None: it does not answer
        self.asked = False  # at least once, so that its silence means something
        self.last_type: str | None = None
        self.streak = 0  # tasks of last_type in a row
        self.uploaded: dict[str, str] = {}  # sha256 -> the server's name for it

    @property
    def name(self) -> str:
        """The server's name in the settings."""
        return self.settings.name

    @property
    def takes_work(self) -> bool:
        """Whether it answers, is new enough and is not drained."""
        return self.health is not None and self.health.usable and not self.memory.drained

    @property
    def memory(self) -> ServerMemory:
        """What the ledger remembers."""
        return memory_of(self._ledger, self.name)

    async def remember(self, **values: Json) -> None:
        """Keep *values* in the ledger's memory of the server, if they are news."""
        known = self.memory
        if any(getattr(known, key) != value for key, value in values.items()):
            await self._ledger.commit(noting(self._ledger, self.name, **values), op="server.noted")

    def ran(self, workflow_type: str) -> None:
        """Note that a task of this type was submitted."""
        self.streak = self.streak + 1 if workflow_type == self.last_type else 1
        self.last_type = workflow_type

    def lost(self) -> None:
        """Note that it does not answer; it may have been restarted and forgotten everything."""
        self.health = None
        self.uploaded.clear()


class HealthWatch:
    """Asks one server how it is, often enough; backs off while it does not answer."""

    def __init__(
        self, state: ServerState, clock: Clock, ready: ReadyRows, changed: Callable[[], None]
    ) -> None:
        self.name = f"health:{state.name}"
        self._state = state
        self._clock = clock
        self._ready = ready
        self._changed = changed
        self._readmitted_at = clock.monotonic()
        self._wake = asyncio.Event()
        self._lost_at: float | None = None

    async def run(self, stop: asyncio.Event) -> None:
        """Ask until *stop* is set."""
        pause_seconds = BACKOFF_SECONDS[0]
        while not stop.is_set():
            self._wake.clear()
            if await unless_stopped(stop, self.ask()):
                pause_seconds = BACKOFF_SECONDS[0]
                await self._clock.pause(HEALTH_SECONDS, self._wake, stop)
            else:
                await self._clock.pause(pause_seconds, stop)
                pause_seconds = min(2 * pause_seconds, BACKOFF_SECONDS[1])

    def readmit_soon(self) -> None:
        """Have all rows that the server could not run tried on it anew: they are filled anew."""
        self._readmitted_at = -math.inf
        self._wake.set()

    async def ask(self) -> bool:
        """Ask once and note the answer; returns whether the server answered."""
        state = self._state
        before = state.health
        try:
            state.health = await state.client.health()
        except (Unreachable, AnswerLost) as error:
            state.lost()
            if self._lost_at is None:
                self._lost_at = self._clock.monotonic()
                log.warning("server.unreachable", server=state.name, error=str(error))
            state.asked = True
            await self._note(reachable=False, unreachable_since=self._unreachable_since())
        else:
            state.asked = True
            if self._lost_at is not None:
                seconds = round(self._clock.monotonic() - self._lost_at, 1)
                log.info("server.back", server=state.name, after_seconds=seconds)
                self._lost_at = None
            if before is None and not state.health.usable:
                log.warning("server.unusable", server=state.name, why=state.health.why_not)
            version = state.health.version
            await self._note(reachable=True, version=version, unreachable_since=None)
        now = self._clock.monotonic()
        back = before is None and state.health is not None
        if back or now - self._readmitted_at >= READMIT_SECONDS:
            self._readmitted_at = now
            await self._ready.readmit(state.name)
        if (before is None) != (state.health is None):
            self._changed()
        return state.health is not None

    def _unreachable_since(self) -> str:
        """Return since when it does not answer, as noted by an earlier process where one did."""
        at = to_timestamp(self._clock.now())
        return self._state.memory.unreachable_since or at

    async def _note(self, **values: Json) -> None:
        try:
            await self._state.remember(**values)
        except LedgerClosed:  # writing comes back by itself; health does not depend on it
            log.debug("server.not_noted", server=self._state.name)
