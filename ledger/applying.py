"""What is durable becomes visible: applied to the index in its order, told, acknowledged."""

import asyncio
from collections import deque
from collections.abc import Iterator
from time import monotonic
from typing import TypeAlias

import structlog

from ledger.entry import Transaction
from ledger.errors import LedgerClosed
from ledger.index import Index
from ledger.listeners import Listeners
from ledger.pending import Pending
from ledger.slices import SLICE, SLICE_SECONDS, Change, changes_of, parts
from ledger.stored import WrittenDown

log = structlog.get_logger()

Done: TypeAlias = "asyncio.Future[None]"
#: A transaction on its way to the disk, where it is counted in, and what its committer awaits.
UnderWay: TypeAlias = tuple[Transaction, Pending, Done]


class Applier:
    """Takes durable transactions and shows them; holds the loop for ``SLICE_SECONDS`` at most.

    A transaction of up to ``SLICE`` records is shown as a whole, a larger one bit by bit. One that
    cannot be shown, by a fault of ours or of the disk, is durable all the same: its committer gets
    that error, and the next start shows it.
    """

    def __init__(self, index: Index) -> None:
        self._index = index
        self.listeners = Listeners()
        self._under_way: deque[UnderWay] = deque()
        self._durable_count = 0  # of those, the oldest
        self._written_down: deque[WrittenDown] = deque()
        self._applying = False
        self._idle = asyncio.Event()
        self._idle.set()
        self.last_seq = index.last_seq

    def expect(self, transaction: Transaction, pending: Pending, done: Done) -> None:
        """Know of a transaction that goes to the disk, after all before it."""
        self._under_way.append((transaction, pending, done))

    def take(self, count: int, last_seq: int) -> None:
        """Show the next *count* transactions under way: they are durable up to line *last_seq*.

        Each is shown, settled in its pending, and then its committer is woken.
        """
        self.last_seq = last_seq
        self._durable_count += count
        if not self._applying:
            self._apply()

    def refuse(self, count: int, error: LedgerClosed) -> None:
        """Tell the committers of the next *count* transactions under way that there are none."""
        durable = [self._under_way.popleft() for _ in range(self._durable_count)]
        for _ in range(count):
            _, _, done = self._under_way.popleft()
            if not done.done():  # else whoever committed it was cancelled
                done.set_exception(error)
                done.exception()  # he may be gone; this is no news to the loop
        self._under_way.extendleft(reversed(durable))

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
        while self._durable_count:
            transaction, pending, done = self._under_way.popleft()
            self._durable_count -= 1
            records, encoded = transaction.records, transaction.encoded
            if len(records) > SLICE:
                self._idle.clear()
                self._apply_slice(changes_of(transaction), (transaction, pending, done))
                return
            try:  # in one go: it is small, and shown as a whole
                for place, record in enumerate(records):
                    self._index.apply(record, encoded[place])
                    pending.settle(record)
            except Exception as error:  # noqa: BLE001 - the others under way are shown all the same
                _fail(done, error)
            else:
                self.listeners.tell(transaction)
                _wake(done)
            if monotonic() > until and self._durable_count:
                self._idle.clear()
                asyncio.get_running_loop().call_soon(self._apply)
                return
        self._applying = False
        self._idle.set()
        self._let_go()

    def _apply_slice(self, changes: Iterator[Change], shown: UnderWay) -> None:
        until = monotonic() + SLICE_SECONDS
        transaction, pending, done = shown
        try:
            for record, encoded in changes:
                self._index.apply(record, encoded)
                pending.settle(record)
                if monotonic() > until:
                    asyncio.get_running_loop().call_soon(self._apply_slice, changes, shown)
                    return
        except Exception as error:  # noqa: BLE001 - as in _apply
            _fail(done, error)
            self._apply()
        else:
            self._tell_parts(parts(transaction), done)

    def _tell_parts(self, left: Iterator[Transaction], done: Done) -> None:
        if (part := next(left, None)) is not None:
            self.listeners.tell(part)
            asyncio.get_running_loop().call_soon(self._tell_parts, left, done)
            return
        _wake(done)
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


def _fail(done: Done, error: Exception) -> None:
    if done.done():  # whoever committed it was cancelled
        log.error("ledger.not_shown", exc_info=error)
    else:
        done.set_exception(error)


def _wake(done: Done) -> None:
    if not done.done():  # else whoever committed it was cancelled
        done.set_result(None)
