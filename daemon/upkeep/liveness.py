"""Tells the service manager that the daemon is ready, how its work stands, and that it lives."""

import asyncio
from collections.abc import Callable

from daemon.clock import Clock
from daemon.notify import ServiceManager
from daemon.words import Words
from ledger.ledger import Ledger
from ledger.status import IN_PROCESS_STAGES, Stage

#: The line in ``systemctl status`` is no older than this.
STATUS_SECONDS = 5.0


class Liveness:
    """Says ready once the doors are open, then feeds the watchdog from the event loop itself.

    So a loop that is held says nothing, and the service manager ends the process; what the next
    start finds is what a kill leaves.
    """

    name = "liveness"

    def __init__(
        self,
        manager: ServiceManager,
        ledger: Ledger,
        clock: Clock,
        *,
        opened: asyncio.Event,
        servers_up: Callable[[], tuple[int, int]],
        words: Words,
    ) -> None:
        """Take what it tells of.

        *opened* is set when the doors are; *servers_up* says how many answer, of how many.
        """
        self._manager = manager
        self._ledger = ledger
        self._servers_up = servers_up
        self._opened = opened
        self._clock = clock
        self._words = words

    async def run(self, stop: asyncio.Event) -> None:
        """Tell until *stop*."""
        watchdog_seconds = self._manager.watchdog_seconds
        every_seconds = min(STATUS_SECONDS, (watchdog_seconds or 2 * STATUS_SECONDS) / 2)
        told = ""
        while not (stop.is_set() or self._opened.is_set()):
            await self._clock.pause(every_seconds, self._opened, stop)
        if not stop.is_set():
            self._manager.ready()
        while not stop.is_set():
            self._manager.feed_watchdog()
            if (status := self._status()) != told:
                self._manager.status(status)
                told = status
            await self._clock.pause(every_seconds, stop)
        self._manager.stopping()

    def _status(self) -> str:
        counts = self._ledger.counts()
        up, servers = self._servers_up()
        line = self._words(
            "liveness.status",
            waiting=counts[Stage.WAITING],
            inside=sum(counts[stage] for stage in IN_PROCESS_STAGES),
            done=counts[Stage.DONE],
            failed=counts[Stage.FAILED],
            up=up,
            servers=servers,
        )
        if not self._ledger.writable:
            return f"{self._words('liveness.ledger_closed')} {line}"
        if self._ledger.damage:
            return f"{self._words('liveness.ledger_damaged')} {line}"
        return line
