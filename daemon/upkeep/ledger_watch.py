"""Brings a ledger that had to stop writing (disk full, failed sync) back when it can write."""

import asyncio

import structlog

from daemon.clock import Clock
from ledger.errors import LedgerClosed
from ledger.ledger import Ledger

log = structlog.get_logger()

ASK_SECONDS = 5.0


class LedgerWatch:
    """Tries to reopen a closed ledger; everything else waits for it and then goes on.

    One whose folder was moved or removed is not waited for: what is written there is lost, or
    begun anew by the next start. Then the daemon ends, before more is promised.
    """

    name = "ledger-watch"

    def __init__(self, ledger: Ledger, clock: Clock) -> None:
        self._ledger = ledger
        self._clock = clock

    async def run(self, stop: asyncio.Event) -> None:
        """Watch until *stop*; raises LedgerGone, and what ended writing until the next start."""
        while not stop.is_set():
            await asyncio.to_thread(self._ledger.prove_there)
            if not self._ledger.writable:
                try:
                    await self._ledger.reopen()
                except LedgerClosed as error:
                    log.error("ledger.cannot_write", error=str(error))  # noqa: TRY400 - no fault
                else:
                    log.info("ledger.writes_again")
            await self._clock.pause(ASK_SECONDS, stop)
