"""All lanes together: each hears of the changes that concern it, and of no others."""

from collections.abc import Sequence

from daemon.dispatch.lane import Lane
from daemon.dispatch.ready import ReadyRows
from ledger.entry import Transaction
from ledger.task import Task


class Lanes:
    """Follows the ledger for the lanes: a slot that is free, a row that may run."""

    def __init__(self, ready: ReadyRows, lanes: Sequence[Lane]) -> None:
        self._ready = ready
        self._lanes = lanes
        ready.grown = self._offer

    def follow(self, transaction: Transaction) -> None:
        """Take in a durable change; the ledger's subscriber."""
        self._ready.follow(transaction)
        for record in transaction.records:
            if isinstance(record, Task):
                if record.version > 1:  # a new one is in no server
                    for lane in self._lanes:
                        lane.follow(record)
            else:  # a batch that goes on, a server that is not drained any more
                self.wake()

    def wake(self) -> None:
        """Have every lane look whether it can take a row."""
        for lane in self._lanes:
            lane.wake.set()

    def _offer(self) -> None:
        """Have those lanes look that can take the row that may run now."""
        for lane in self._lanes:
            lane.offer()
