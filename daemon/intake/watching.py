"""Says when something happens in the inbox, and what was renamed to where it lies.

What it was otherwise is for the looker to see.

A burst fills the kernel's queue, which then loses events, and watchdog's own, which then fills
the memory. So a burst ends the watching: while drops lie there the inbox looks by itself, and
it watches again when the burst is over.
"""

import asyncio
import os
import sys
import threading
from pathlib import Path

import structlog
from watchdog.events import (
    DirCreatedEvent,
    DirDeletedEvent,
    DirMovedEvent,
    FileClosedEvent,
    FileCreatedEvent,
    FileModifiedEvent,
    FileMovedEvent,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers import Observer
from watchdog.observers.api import BaseObserver

log = structlog.get_logger()

#: So many events between two looks are a burst.
BURST_EVENTS = 1000
_EVENTS: list[type[FileSystemEvent]] = [  # not "opened": our own looking would wake us
    DirCreatedEvent,
    DirDeletedEvent,
    DirMovedEvent,
    FileClosedEvent,
    FileCreatedEvent,
    FileModifiedEvent,
    FileMovedEvent,
]


class Watch(FileSystemEventHandler):
    """Sets an event of the loop whenever something is written or appears in the inbox."""

    def __init__(self, inbox: Path, loop: asyncio.AbstractEventLoop, woken: asyncio.Event) -> None:
        self._inbox = inbox
        self._loop = loop
        self._woken = woken
        self._lock = threading.Lock()
        self._observer: BaseObserver | None = None  # making one opens an inotify instance
        self._events = 0  # since the last look
        self._renamed: set[str] = set()  # names in the inbox, likewise
        self.inode: int | None = None  # of the folder that is watched
        self.in_burst = False

    @property
    def alive(self) -> bool:
        """Whether changes are being told."""
        observer = self._observer
        return observer is not None and observer.is_alive()

    def begin(self, inode: int) -> None:
        """Watch the inbox, whose inode is *inode*; not being able to is logged."""
        self.end()
        with self._lock:
            self.in_burst = False
            try:
                self._observer = _observer()
                self._observer.schedule(self, str(self._inbox), event_filter=_EVENTS)
                self._observer.start()
            except OSError as error:
                log.warning("inbox.not_watched", error=str(error))
            self.inode = inode

    def end(self) -> None:
        """Stop watching."""
        with self._lock:
            observer, self._observer = self._observer, None
            self.inode = None
        if observer is not None:
            observer.stop()
            if observer.is_alive():
                observer.join()

    def look(self) -> frozenset[str]:
        """Say that a look begins now: whatever happened so far, it will see.

        Returns the names of what came by a rename since the last one and was not written to since,
        as far as the system tells renames from new files.
        """
        renamed, self._events = frozenset(self._renamed), 0
        self._renamed -= renamed  # in place: watchdog's thread may be about to add one more
        return renamed

    def on_any_event(self, event: FileSystemEvent) -> None:
        """Wake the loop; called in watchdog's thread."""
        if isinstance(event, DirDeletedEvent) and event.src_path == str(self._inbox):
            self.inode = None  # the next one may get the same number
        self._note_rename(event)
        self._events += 1
        if self._events > BURST_EVENTS and not self.in_burst:
            self.in_burst = True
            self._loop.call_soon_threadsafe(self._leave)
        if not self._woken.is_set():
            self._loop.call_soon_threadsafe(self._woken.set)

    def _note_rename(self, event: FileSystemEvent) -> None:
        self._renamed.discard(_name_in(event.src_path))
        if isinstance(event, FileMovedEvent | DirMovedEvent) and event.dest_path:
            self._renamed.add(_name_in(event.dest_path))

    def _leave(self) -> None:
        """Stop watching behind the loop's back; whoever looks is told by ``in_burst``."""
        log.info("inbox.burst", events=self._events)
        self._loop.run_in_executor(None, self.end)


def _observer() -> BaseObserver:
    """Return an observer that tells a rename from outside as one, where that can be told."""
    if sys.platform != "linux":
        return Observer()
    from watchdog.observers.inotify import InotifyObserver  # noqa: PLC0415 - Linux only

    return InotifyObserver(generate_full_events=True)


def _name_in(path: bytes | str) -> str:
    return os.path.basename(os.fsdecode(path))  # noqa: PTH119 - asked for each event of a burst
