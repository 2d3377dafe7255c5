"""What is durable becomes visible: applied to the index in its order, told, acknowledged."""

import asyncio
from collections import deque
from collections.abc import Iterable, Iterator
from time import monotonic

import structlog

from ledger.entry import Transaction
from ledger.errors import LedgerClosed
from ledger.index import Index
from ledger.listeners import Listeners
from ledger.pending import Pending
from ledger.slices import SLICE, SLICE_SECONDS, Change, changes_of, parts
from ledger.stored import WrittenDown

log = structlog.get_logger()


class Applier:
    """Takes durable transactions and shows them; holds the loop for ``SLICE_SECONDS`` at most.

    A transaction of up to ``SLICE`` records is shown as a whole, a larger one bit by bit. One that
    cannot be shown, by a fault of ours or of the disk, is durable all the same: its committer gets
    that error, and the next start shows it. From then on no task is taken to stand where the check
    saw it.
    """

    def __init__(self, index: Index, pending: Pending) -> None:
        self._index = index
        self.pending = pending  # where all that is under way is counted in
        self._all_shown = True
        self.listeners = Listeners()
        self._durable: deque[Transaction] = deque()  # still to be shown
        self._written_down: deque[WrittenDown] = deque()
        self._applying = False
        self._idle = asyncio.Event()
        self._idle.set()
        self.last_seq = index.last_seq

    def take(self, transactions: Iterable[Transaction], last_seq: int) -> None:
        """Show *transactions*, which come next and are durable up to line *last_seq*.

        Each is shown, settled in what is pending unless it goes on, and its committer is woken.
        """
        self.last_seq = last_seq
        self._durable.extend(transactions)
        if not self._applying:
            self._apply()

    def refuse(self, transactions: Iterable[Transaction], error: LedgerClosed) -> None:
        """Tell the committers of *transactions* that there are none."""
        for transaction in transactions:
            done = transaction.done
            if done is not None and not done.done():  # else whoever committed it was cancelled
                done.set_exception(error)
                done.exception()  # he may be gone; this is no news to the loop

    def read_from(self, written: WrittenDown) -> None:
        """Let go of records that the store has, once all is applied that it has."""
        self._written_down.append(written)
        self._let_go()

    async def finish(self) -> None:
        """Return when all that was taken is shown."""
        await self._idle.wait()

    def _apply(self) -> None:
        self._applying = True
        until = monotonic() + SLICE_SECONDS
        durable, index, listeners = self._durable, self._index, self.listeners
        while durable:
            transaction = durable.popleft()
            task = transaction.task
            if task is None and len(transaction.records) > SLICE:
                self._idle.clear()
                self._apply_slice(changes_of(transaction), transaction)
                return
            try:
                if transaction.goes_on and task is not None and self._all_shown:
                    index.go_on(task)
                else:
                    self._apply_at_once(transaction)
            except Exception as error:  # noqa: BLE001 - the others under way are shown all the same
                self._fail(transaction, error)
            else:
                listeners.tell(transaction)
                _wake(transaction)
            if durable and monotonic() > until:
                self._idle.clear()
                asyncio.get_running_loop().call_soon(self._apply)
                return
        self._applying = False
        self._idle.set()
        self._let_go()

    def _apply_at_once(self, transaction: Transaction) -> None:
        """Show a small transaction as a whole."""
        for record, encoded in zip(transaction.records, transaction.encoded, strict=True):
            self._index.apply(record, encoded)
            self.pending.settle(record)

    def _apply_slice(self, changes: Iterator[Change], transaction: Transaction) -> None:
        until = monotonic() + SLICE_SECONDS
        try:
            with self._index.counting_together():
                for record, encoded in changes:
                    self._index.apply(record, encoded)
                    self.pending.settle(record)
                    if monotonic() > until:
                        loop = asyncio.get_running_loop()
                        loop.call_soon(self._apply_slice, changes, transaction)
                        return
        except Exception as error:  # noqa: BLE001 - as in _apply
            self._fail(transaction, error)
            self._apply()
        else:
            self._tell_parts(parts(transaction), transaction)

    def _tell_parts(self, left: Iterator[Transaction], transaction: Transaction) -> None:
        if (part := next(left, None)) is not None:
            self.listeners.tell(part)
            asyncio.get_running_loop().call_soon(self._tell_parts, left, transaction)
            return
        _wake(transaction)
        self._apply()

    def _let_go(self) -> None:
        while self._written_down and not self._applying:
            if self._written_down[0].last_seq > self.last_seq:
                return
            self._take_steps(self._index.read_from(self._written_down.popleft()))

    def _take_steps(self, steps: Iterator[None]) -> None:
        until = monotonic() + SLICE_SECONDS
        for _ in steps:
            if monotonic() > until:
                asyncio.get_running_loop().call_soon(self._take_steps, steps)
                return

    def _fail(self, transaction: Transaction, error: Exception) -> None:
        self._all_shown = False
        done = transaction.done
        if done is None or done.done():  # whoever committed it was cancelled
            log.error("ledger.not_shown", exc_info=error)
        else:
            done.set_exception(error)


def _wake(transaction: Transaction) -> None:
    done = transaction.done
    if done is not None and not done.done():  # else whoever committed it was cancelled
        done.set_result(None)
