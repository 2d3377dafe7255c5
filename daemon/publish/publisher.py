"""The publishers: what is due is told, one write at a time in a document."""

import asyncio
from collections.abc import Sequence

from daemon.clock import Clock
from daemon.publish.outbox import TableOutbox
from ledger.entry import Transaction
from ledger.ledger import Ledger

#: The safety net under the change feed.
IDLE_SECONDS = 60.0


class Publisher:
    """Tells the tables of one document, and waits for news in between."""

    def __init__(self, outboxes: Sequence[TableOutbox], ledger: Ledger, clock: Clock) -> None:
        self.name = f"publish:{outboxes[0].name}"
        self._outboxes = outboxes
        self._ledger = ledger
        self._clock = clock
        self._wake = asyncio.Event()
        self._loaded = False

    @property
    def idle(self) -> bool:
        """Whether nothing is left to be told, or telling it is hopeless for now."""
        return self._loaded and all(outbox.idle for outbox in self._outboxes)

    async def run(self, stop: asyncio.Event) -> None:
        """Tell until *stop*, then once more; what fails then is left to the next start."""
        unsubscribe = self._ledger.subscribe(self._follow)
        for outbox in self._outboxes:
            await outbox.load()
        self._loaded = True
        try:
            while not stop.is_set():
                self._wake.clear()
                for outbox in self._outboxes:
                    await outbox.tell()
                pause = min(outbox.seconds_to_next() for outbox in self._outboxes)
                await self._clock.pause(max(0.0, min(pause, IDLE_SECONDS)), stop, self._wake)
            for outbox in self._outboxes:
                await outbox.tell(at_once=True)
        finally:
            unsubscribe()

    def _follow(self, transaction: Transaction) -> None:
        news = [outbox.follow(transaction) for outbox in self._outboxes]
        if any(news):
            self._wake.set()
