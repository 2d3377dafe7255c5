"""The inbox service: notices what is dropped, and takes it in when it is complete."""

import asyncio
from pathlib import Path

import msgspec
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
from watchdog.observers.api import BaseObserver  # noqa: TC002 - mypy reads it, so do people

from config.settings import Inbox as InboxSettings
from daemon.clock import Clock
from daemon.intake.accept import Door
from daemon.intake.completeness import Completeness
from daemon.intake.drops import OUR_FOLDERS, DropPlace, Found, find_drops
from daemon.intake.filing import to_text
from daemon.intake.settling import Sight
from daemon.intake.taking import Taker
from ledger.ledger import Ledger

log = structlog.get_logger()

_TAKEN_TOGETHER = 16  # drops whose moves share the disk's patience
_BURST_SECONDS = 0.1  # events that come together lead to one look
_PULSE_SECONDS = 0.5  # how often we look at drops that settle, at most
_UNWATCHED_SECONDS = 2.0  # how often we look where no event would tell
_EVENTS: list[type[FileSystemEvent]] = [  # not "opened": our own looking would wake us
    DirCreatedEvent,
    DirDeletedEvent,
    DirMovedEvent,
    FileClosedEvent,
    FileCreatedEvent,
    FileModifiedEvent,
    FileMovedEvent,
]


class Scan(msgspec.Struct, frozen=True, kw_only=True):
    """What one look into the inbox led to."""

    taken: int = 0  # drops that were decided, whatever the verdict
    settling: int = 0  # drops that are not complete yet
    postponed: bool = False  # our disk or ledger could not take one; it counts as settling too
    waiting_folders: int = 0  # sub-folders without a job file, as yet
    inode: int | None = None  # of the inbox; None when it cannot be read


class Inbox:
    """Takes in what is dropped: each drop once, when it is complete.

    The events of the file system only say when to look; what is there is always read anew, so a
    lost event costs time and nothing else. A drop is decided in one ledger transaction and moved
    afterwards; what a crash interrupts is finished at the next start.
    """

    name = "inbox"

    def __init__(self, settings: InboxSettings, door: Door, ledger: Ledger, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._taker = Taker(settings.path, door, ledger, clock)
        self._completeness = Completeness(settings, door.needs, door.allow, clock)
        self._looking = asyncio.Lock()
        self._woken = asyncio.Event()
        self._old_moves_due = 0.0
        self._last: Scan | None = None

    @property
    def idle(self) -> bool:
        """Whether we have looked at least once and no drop was left lying there."""
        return self._last is not None and self._last.settling == 0

    async def run(self, stop: asyncio.Event) -> None:
        """Watch the inbox until *stop* is set; a drop being taken is finished first."""
        watch = _Watch(self._settings.path, asyncio.get_running_loop(), self._woken)
        try:
            while not stop.is_set():
                self._woken.clear()
                scan = await self.scan_once(stop)
                if scan.inode is not None and scan.inode != watch.inode:
                    await asyncio.to_thread(watch.begin, scan.inode)
                    continue  # what came between looking and watching
                await self._pause(scan, stop, watched=watch.alive and scan.inode is not None)
        finally:
            await asyncio.to_thread(watch.end)

    async def scan_once(self, stop: asyncio.Event | None = None) -> Scan:
        """Finish what was interrupted, take in what is complete, and say what is left.

        For ``run --once``: call again after a pause until ``settling`` is 0. When *stop* is set,
        the remaining drops are left for the next time.
        """
        async with self._looking:
            self._last = await self._scan(stop)
            return self._last

    async def _scan(self, stop: asyncio.Event | None) -> Scan:
        await self._finish_old_moves()
        decided = {(f.name, f.sight) for f in self._taker.clerk.pending().values()}
        try:
            found, ready = await asyncio.to_thread(self._look, decided)
        except OSError as error:
            log.warning("inbox.unreadable", path=str(self._settings.path), error=str(error))
            return Scan()
        taken, postponed = await self._take(ready, stop)
        return Scan(
            taken=taken,
            settling=len(found.places) - taken,
            postponed=postponed,
            waiting_folders=found.waiting_folders,
            inode=found.inode,
        )

    async def _take(self, ready: list[DropPlace], stop: asyncio.Event | None) -> tuple[int, bool]:
        """Return how many were decided, and whether the rest had to be postponed."""
        taken = 0
        for first in range(0, len(ready), _TAKEN_TOGETHER):
            if stop is not None and stop.is_set():
                break
            decided, postponed = await self._taker.take(ready[first : first + _TAKEN_TOGETHER])
            taken += decided
            if postponed is not None:
                return taken, True
        return taken, False

    async def _finish_old_moves(self) -> None:
        """Finish filings that a crash or a full disk interrupted, at start and now and then."""
        now = self._clock.monotonic()
        if now >= self._old_moves_due:
            self._old_moves_due = now + self._settings.rescan_seconds
            await self._taker.clerk.finish_all()

    def _look(self, decided: set[tuple[str, Sight]]) -> tuple[Found, list[DropPlace]]:
        for folder in ("", *OUR_FOLDERS):
            (self._settings.path / folder).mkdir(parents=True, exist_ok=True)
        found = find_drops(self._settings.path)
        places = tuple(p for p in found.places if (to_text(p.name), p.sight) not in decided)
        found = msgspec.structs.replace(found, places=places)
        return found, self._completeness.complete(places)

    async def _pause(self, scan: Scan, stop: asyncio.Event, *, watched: bool) -> None:
        """Wait until something happens in the inbox, or a look is due anyway."""
        seconds = self._settings.rescan_seconds
        if scan.postponed or scan.waiting_folders or not watched:
            seconds = min(seconds, _UNWATCHED_SECONDS)
        if scan.settling and not scan.postponed:
            seconds = min(seconds, _PULSE_SECONDS, max(0.05, self._settings.settle_seconds / 4))
        waits = {
            asyncio.ensure_future(self._woken.wait()),
            asyncio.ensure_future(self._clock.pause(seconds, stop)),
        }
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
        if self._woken.is_set():
            await self._clock.pause(_BURST_SECONDS, stop)


class _Watch(FileSystemEventHandler):
    """Sets an event of the loop whenever something is written or appears in the inbox."""

    def __init__(self, inbox: Path, loop: asyncio.AbstractEventLoop, woken: asyncio.Event) -> None:
        self._inbox = inbox
        self._loop = loop
        self._woken = woken
        self._observer: BaseObserver | None = None  # making one opens an inotify instance
        self.inode: int | None = None  # of the folder that is watched

    @property
    def alive(self) -> bool:
        """Whether changes are being told."""
        return self._observer is not None and self._observer.is_alive()

    def begin(self, inode: int) -> None:
        """Watch the inbox, whose inode is *inode*; not being able to is logged."""
        self.end()
        try:
            self._observer = Observer()
            self._observer.schedule(self, str(self._inbox), event_filter=_EVENTS)
            self._observer.start()
        except OSError as error:
            log.warning("inbox.not_watched", error=str(error), looks_every=_UNWATCHED_SECONDS)
        self.inode = inode

    def end(self) -> None:
        """Stop watching."""
        observer, self._observer = self._observer, None
        if observer is not None:
            observer.stop()
            if observer.is_alive():
                observer.join()

    def on_any_event(self, event: FileSystemEvent) -> None:
        """Wake the loop; called in watchdog's thread."""
        if isinstance(event, DirDeletedEvent) and event.src_path == str(self._inbox):
            self.inode = None  # the next one may get the same number
        if not self._woken.is_set():
            self._loop.call_soon_threadsafe(self._woken.set)
