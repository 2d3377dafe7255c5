"""What happens, told to all who listen: a ring of the last events, and a bounded queue for each.

A listener that cannot keep up loses its queue and is given a fresh snapshot instead.
"""

import asyncio
import secrets
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec

from daemon.web.refusal import Refusal
from daemon.web.views import told
from ledger.batch import Batch
from ledger.entry import Transaction
from ledger.task import Task

#: Events that one who comes back with Last-Event-ID may have missed.
REMEMBERED = 1000
#: Events that wait for one slow listener.
QUEUED = 500
MAX_LISTENERS = 50
#: A transaction of more tasks is told as a whole: a large drop must not flush every queue.
TASKS_TOLD_ONE_BY_ONE = 50


class Event(msgspec.Struct, frozen=True):
    """One event as it goes over the wire; *number* counts all events of this process."""

    number: int
    kind: str
    data: bytes


class Listener:
    """One client's queue."""

    def __init__(self, missed: list[Event] | None) -> None:
        self.needs_snapshot = missed is None
        self._events: deque[Event] = deque(missed or ())
        self._news = asyncio.Event()

    def tell(self, event: Event) -> None:
        """Queue *event*; a full queue is dropped, and a snapshot becomes due."""
        if len(self._events) >= QUEUED:
            self._events.clear()
            self.needs_snapshot = True
        self._events.append(event)
        self._news.set()

    def restart(self) -> None:
        """Forget what is queued: a snapshot taken now says it all."""
        self._events.clear()
        self.needs_snapshot = False

    def take(self) -> Iterator[Event]:
        """Yield what is queued, until a snapshot becomes due."""
        while self._events and not self.needs_snapshot:
            yield self._events.popleft()

    async def news(self, seconds: float) -> bool:
        """Wait for an event or the end, at most *seconds*; returns whether something came."""
        if self._events or self.needs_snapshot:
            return True
        self._news.clear()
        try:
            async with asyncio.timeout(seconds):
                await self._news.wait()
        except TimeoutError:
            return False
        return True

    def wake(self) -> None:
        """End a wait."""
        self._news.set()


class Feed:
    """Where events come in and listeners hang on. Everything happens on the loop."""

    def __init__(self) -> None:
        self._run = secrets.token_hex(4)  # numbers mean nothing to the process after a restart
        self._number = 0
        self._last: deque[Event] = deque(maxlen=REMEMBERED)
        self._listeners: set[Listener] = set()
        self.closed = False
        self.touched: set[str] = set()  # batches whose counts changed since they were told

    @property
    def is_heard(self) -> bool:
        """Whether anybody listens."""
        return bool(self._listeners)

    def follow(self, transaction: Transaction) -> None:
        """Tell of a durable transaction: a listener of the ledger."""
        tasks = [record for record in transaction.records if isinstance(record, Task)]
        self.touched.update(task.batch_id for task in tasks)
        if len(tasks) <= TASKS_TOLD_ONE_BY_ONE:
            for task in tasks:
                self.publish("task", told(task))
        else:
            batch_ids = sorted({task.batch_id for task in tasks})
            self.publish("tasks", {"batch_ids": batch_ids, "count": len(tasks)})
        for record in transaction.records:
            if isinstance(record, Batch):
                self.touched.add(record.batch_id)

    def publish(self, kind: str, data: object) -> None:
        """Tell all listeners, and remember it for those who come back."""
        self._number += 1
        event = Event(self._number, kind, msgspec.json.encode(data))
        self._last.append(event)
        for listener in self._listeners:
            listener.tell(event)

    @contextmanager
    def listener(self, last_event_id: str | None) -> Iterator[Listener]:
        """Hang on; raises Refusal (503) when too many listen."""
        if self.closed or len(self._listeners) >= MAX_LISTENERS:
            raise Refusal("too_many_listeners", 503, headers={"Retry-After": "10"})
        listener = Listener(self._missed_since(last_event_id))
        self._listeners.add(listener)
        try:
            yield listener
        finally:
            self._listeners.discard(listener)

    def id_of(self, number: int) -> str:
        """Return what a client sends as Last-Event-ID."""
        return f"{self._run}-{number}"

    @property
    def now_id(self) -> str:
        """The id of the newest event."""
        return self.id_of(self._number)

    def close(self) -> None:
        """End all listening."""
        self.closed = True
        for listener in self._listeners:
            listener.wake()

    def _missed_since(self, last_event_id: str | None) -> list[Event] | None:
        """Return what came after that event; None when nobody remembers it."""
        run, _, number = (last_event_id or "").rpartition("-")
        if run != self._run or not number.isascii() or not number.isdigit():
            return None
        seen = int(number[:18])
        first = self._last[0].number if self._last else self._number + 1
        if not first - 1 <= seen <= self._number or self._number - seen > QUEUED:
            return None
        return [event for event in self._last if event.number > seen]
