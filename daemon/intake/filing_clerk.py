"""Putting a drop away once its verdict is in the ledger: reports, the move, then forgetting it.

The verdict's transaction holds a ``drops`` record of what is left to do; it is removed last. So
whatever a crash interrupts is done again from the record, and doing it twice changes nothing.
"""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import structlog

from daemon import failpoint
from daemon.intake.filing import SECTION, Filing
from daemon.intake.putting_away import MOVED_TOGETHER, forgetting, pending_in, put_away
from daemon.words import Words
from ledger.errors import LedgerError
from ledger.ledger import Ledger

log = structlog.get_logger()


class FilingClerk:
    """Does what the ``drops`` records ask for."""

    def __init__(self, ledger: Ledger, inbox: Path, words: Words) -> None:
        self._ledger = ledger
        self._inbox = inbox
        self._words = words
        #: What could not be put away when last tried, and why, by key.
        self.unmoved: dict[str, tuple[Filing, OSError]] = {}

    def pending(self) -> dict[str, Filing]:
        """Return what is left to do, by key."""
        return pending_in(self._ledger.meta(SECTION))

    @property
    def left(self) -> frozenset[str]:
        """The keys of what is left to do."""
        return frozenset(self._ledger.meta(SECTION))

    async def finish_all(self) -> None:
        """Finish all that is pending; what cannot be moved now stays pending, logged."""
        pending = list(self.pending().items())
        for first in range(0, len(pending), MOVED_TOGETHER):
            await self.finish(pending[first : first + MOVED_TOGETHER])

    async def finish(self, filings: Sequence[tuple[str, Filing]]) -> None:
        """Write the reports, move the drops, forget them.

        They are moved side by side, made to last together and forgotten in one transaction.
        """
        if not filings:
            return
        done = await asyncio.to_thread(self._put_away, filings)
        failpoint.reach("intake.before_forgetting")
        if (change := forgetting(done)) is None:
            return
        try:
            await self._ledger.commit(*change.records, op=change.op, actor=change.actor)
        except LedgerError as error:
            log.warning("drops.not_forgotten", drops=len(done), error=str(error))
            return
        failpoint.reach("intake.forgotten")

    def _put_away(self, filings: Sequence[tuple[str, Filing]]) -> list[str]:
        """Return the keys of what was moved, durably."""
        away = put_away(filings, self._inbox, self._words)
        self.unmoved |= away.unmoved
        for key in {key for key, _ in filings} - away.unmoved.keys():
            self.unmoved.pop(key, None)
        for filing, error in away.unmoved.values():
            log.warning("drop.not_moved", drop=filing.name, to=filing.goes_to, error=str(error))
        if away.unsynced is not None:
            drops = len(filings) - len(away.unmoved)
            log.warning("inbox.not_synced", drops=drops, error=str(away.unsynced))
            return []
        last = away.moved[-1].name if away.moved else None
        log.info("drops.moved", drops=len(away.moved), last=last)
        return away.done
