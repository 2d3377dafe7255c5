"""What happens, told four times a second to all who listen.

Between two tellings the changes of one task become one: what counts is how it stands now. A tick's
events are encoded once and go to every listener as the same bytes; a ring holds the last ones for
those who come back. A listener that cannot keep up loses its queue and gets a fresh snapshot.
"""

import asyncio
import secrets
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

import msgspec

from daemon.web.refusal import Refusal
from daemon.web.views import task_row
from ledger.batch import Batch
from ledger.entry import Transaction
from ledger.task import Task

#: So often what has gathered is told.
TELL_SECONDS = 0.25
#: Events that one who comes back with Last-Event-ID may have missed.
REMEMBERED_EVENTS = 1000
#: Bytes that wait for one slow listener; all share the same ones.
QUEUED_BYTES = 1024 * 1024
MAX_LISTENERS = 256
#: More tasks than that in one tick are told as a whole: a large drop must not flush every queue.
TASKS_TOLD_ONE_BY_ONE = 200
#: A client that takes no bytes for so many tellings is cut off.
STALLED_TICKS = 12
#: After so many tellings without an event a stream says that it lives; proxies end silent ones.
QUIET_TICKS = 60
_ALIVE = b": alive\n\n"
#: Tellings that nobody heard before nothing is kept any more for those who might come back.
SILENT_TICKS = 240


class Event(msgspec.Struct, frozen=True):
    """One event as it goes over the wire; *number* counts all events of this process."""

    number: int
    frame: bytes


class Client(Protocol):
    """Who listens: the other end of a stream of events."""

    def is_gone(self) -> bool:
        """Say whether the client has left; nobody is told when it does."""
        ...

    def cut_off(self) -> None:
        """End it at once; a send under way fails."""
        ...


class Listener:
    """One client's queue."""

    def __init__(self, missed: list[Event] | None, client: Client | None) -> None:
        self.needs_snapshot = missed is None
        self._client = client
        self._is_sending = False
        self._stalled_ticks = 0
        self._queue: deque[bytes] = deque(event.frame for event in missed or ())
        self._queued_bytes = sum(map(len, self._queue))
        self._news = asyncio.Event()

    @property
    def is_gone(self) -> bool:
        """Whether its client has left."""
        return self._client is not None and self._client.is_gone()

    def tell(self, frames: bytes) -> None:
        """Queue a tick's events; a full queue is dropped, and a snapshot becomes due."""
        if self._queued_bytes + len(frames) > QUEUED_BYTES:
            self._drop()
            self.needs_snapshot = True
        if not self.needs_snapshot:  # it will hold what is told until then
            self._queue.append(frames)
            self._queued_bytes += len(frames)
        self._news.set()

    def tick(self) -> None:
        """Wake one whose client has left, cut off one that takes nothing."""
        if self.is_gone:
            self._news.set()
        self._stalled_ticks = self._stalled_ticks + 1 if self._is_sending else 0
        if self._stalled_ticks > STALLED_TICKS and self._client is not None:
            self._client.cut_off()

    def restart(self) -> None:
        """Forget what is queued: a snapshot taken now says it all."""
        self._drop()
        self.needs_snapshot = False

    def take(self) -> Iterator[bytes]:
        """Yield what is queued, until a snapshot becomes due."""
        while self._queue and not self.needs_snapshot:
            frames = self._queue.popleft()
            self._queued_bytes -= len(frames)
            yield frames

    @contextmanager
    def sending(self) -> Iterator[None]:
        """Be watched, while something is sent, for whether the client takes it."""
        self._is_sending, self._stalled_ticks = True, 0
        try:
            yield
        finally:
            self._is_sending = False

    async def news(self) -> None:
        """Wait for an event, the end, or that the client has left."""
        if not self._queue and not self.needs_snapshot:
            self._news.clear()
            await self._news.wait()

    def wake(self) -> None:
        """End a wait."""
        self._news.set()

    def _drop(self) -> None:
        self._queue.clear()
        self._queued_bytes = 0


class Feed:
    """Where changes gather and listeners hang on. Everything happens on the loop."""

    def __init__(self) -> None:
        self._run = secrets.token_hex(4)  # numbers mean nothing to the process after a restart
        self._number = 0
        self._last: deque[Event] = deque(maxlen=REMEMBERED_EVENTS)
        self._listeners: set[Listener] = set()
        self._tasks: dict[str, Task] = {}  # changed since the last telling
        self._other: list[tuple[str, object]] = []
        self._silent_ticks = SILENT_TICKS  # nobody has ever listened
        self._quiet_ticks = 0
        self._snapshot: Event | None = None
        self._taking = asyncio.Lock()
        self.closed = False
        self.touched: set[str] = set()  # batches whose counts changed since they were told

    @property
    def is_heard(self) -> bool:
        """Whether anybody listens."""
        return bool(self._listeners)

    @property
    def listeners_count(self) -> int:
        """How many listen."""
        return len(self._listeners)

    @property
    def is_kept(self) -> bool:
        """Whether somebody listens, or did a short while ago and may come back."""
        return self._silent_ticks < SILENT_TICKS

    def follow(self, transaction: Transaction) -> None:
        """Take note of a durable transaction: a listener of the ledger."""
        if not self.is_kept:
            return
        for record in transaction.records:
            if isinstance(record, Task):
                self.touched.add(record.batch_id)
                self._tasks.pop(record.task_id, None)  # told in the order of the last change
                self._tasks[record.task_id] = record
            elif isinstance(record, Batch):
                self.touched.add(record.batch_id)

    def publish(self, kind: str, data: object) -> None:
        """Let the next telling tell *data*."""
        if self.is_kept:
            self._other.append((kind, data))

    def flush(self) -> None:
        """Tell all listeners what has gathered, and remember it for those who come back."""
        self._snapshot = None
        self._silent_ticks = 0 if self._listeners else min(self._silent_ticks + 1, SILENT_TICKS)
        for listener in self._listeners:
            listener.tick()
        if not self.is_kept:
            self._forget()
            return
        told = [self._event(kind, data) for kind, data in self._gathered()]
        self._last.extend(told)
        self._quiet_ticks = 0 if told else self._quiet_ticks + 1
        frames = b"".join(event.frame for event in told)
        if self._quiet_ticks >= QUIET_TICKS:
            self._quiet_ticks, frames = 0, _ALIVE
        if frames:
            for listener in self._listeners:
                listener.tell(frames)

    @contextmanager
    def listener(
        self, last_event_id: str | None, client: Client | None = None
    ) -> Iterator[Listener]:
        """Hang on; raises Refusal (503) when too many listen."""
        present = sum(not each.is_gone for each in self._listeners)
        if self.closed or present >= MAX_LISTENERS:
            raise Refusal("too_many_listeners", 503, headers={"Retry-After": "10"})
        listener = Listener(self._missed_since(last_event_id), client)
        self._silent_ticks = 0
        self._listeners.add(listener)
        try:
            yield listener
        finally:
            self._listeners.discard(listener)

    async def snapshot(self, take: Callable[[], Awaitable[bytearray]]) -> bytes:
        """Return the event that says how all stands; those who come at once share one.

        *take* gives it as JSON.

        What changes while it is taken is told behind it. So one that was begun before an event is
        not given to who asks after that event: nobody would tell it to them.
        """
        asked_at = self._number
        async with self._taking:
            if self._snapshot is None or self._snapshot.number < asked_at:
                number = self._number
                encoded = await take()
                self._snapshot = Event(number, self._framed(number, "snapshot", encoded))
            return self._snapshot.frame

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

    def _gathered(self) -> list[tuple[str, object]]:
        tasks, self._tasks = self._tasks, {}
        other, self._other = self._other, []
        if len(tasks) <= TASKS_TOLD_ONE_BY_ONE:
            return [*(("task", task_row(task)) for task in tasks.values()), *other]
        batch_ids = sorted({task.batch_id for task in tasks.values()})
        return [("tasks", {"batch_ids": batch_ids, "count": len(tasks)}), *other]

    def _event(self, kind: str, data: object) -> Event:
        self._number += 1
        encoded = msgspec.json.encode(data)
        return Event(self._number, self._framed(self._number, kind, encoded))

    def _framed(self, number: int, kind: str, encoded: bytes | bytearray) -> bytes:
        head = b"id: %b\nevent: %b\ndata: " % (self.id_of(number).encode(), kind.encode())
        return b"".join((head, encoded, b"\n\n"))

    def _forget(self) -> None:
        self._last.clear()
        self._tasks.clear()
        self._other.clear()
        self.touched.clear()

    def _missed_since(self, last_event_id: str | None) -> list[Event] | None:
        """Return what came after that event; None when nobody remembers it."""
        run, _, number = (last_event_id or "").rpartition("-")
        if not self.is_kept or run != self._run or not number.isascii() or not number.isdigit():
            return None
        seen = int(number[:18])
        first = self._last[0].number if self._last else self._number + 1
        if not first - 1 <= seen <= self._number:
            return None
        return [event for event in self._last if event.number > seen]
