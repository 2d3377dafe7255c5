"""The inbox service: notices what is dropped, and takes it in when it is complete."""

import asyncio
from collections.abc import Collection, Mapping

import msgspec
import structlog

from config.settings import Inbox as InboxSettings
from daemon.clock import Clock
from daemon.concern import Concern
from daemon.intake.accept import Intake
from daemon.intake.completeness import Completeness
from daemon.intake.drops import OUR_FOLDERS, DropPlace, Found, JoblessFolder, find_drops
from daemon.intake.filing import from_text
from daemon.intake.jobs import taken_together
from daemon.intake.leftovers import jobless, unmoved
from daemon.intake.settling import Sight
from daemon.intake.taking import Taker
from daemon.intake.watching import Watch
from daemon.words import Words
from daemon.words.retelling import OBSTACLES, in_each_language
from ledger.ledger import Ledger

log = structlog.get_logger()

_TAKING_SECONDS = 1.75  # then we look again: what came meanwhile is to be seen
_BURST_SECONDS = 0.1  # events that come together lead to one look
_PULSE_SECONDS = 0.5  # how often we look at drops that settle, at most
_UNWATCHED_SECONDS = 2.0  # how often we look where no event would tell
_MOVE_AGAIN_SECONDS = 1.0  # after a move that failed; doubled up to a rescan
_GLANCE_SECONDS = 2.0  # how often the folder itself is asked whether an event was lost


class Scan(msgspec.Struct, frozen=True, kw_only=True):
    """What one look into the inbox led to."""

    taken: int = 0  # drops that were decided, whatever the verdict
    settling: int = 0  # drops that lie there: not complete yet, or not taken yet
    unfinished: bool = False  # time was over: there is more to take at once
    postponed: bool = False  # our disk or ledger could not take one; it counts as settling too
    waiting_folders: int = 0  # sub-folders without a job file, as yet
    inode: int | None = None  # of the inbox; None when it cannot be read


class Inbox:
    """Takes in what is dropped: each drop once, when it is complete.

    The events of the file system only say when to look; what is there is always read anew, so a
    lost event costs time and nothing else. A drop is decided in one ledger transaction and moved
    afterwards; what a crash interrupts is finished at the next start. However many drops lie
    there, only the oldest few thousand are held in memory.
    """

    name = "inbox"

    def __init__(
        self, settings: InboxSettings, intake: Intake, ledger: Ledger, clock: Clock, words: Words
    ) -> None:
        """*words*: the language of the reports that come back."""
        self._settings = settings
        self._ledger = ledger
        self._clock = clock
        self._completeness = Completeness(settings, intake.allow, clock)
        self._taker = Taker(settings.path, intake, ledger, self._completeness, clock, words=words)
        self._looking = asyncio.Lock()
        self._woken = asyncio.Event()
        self._old_moves_due = 0.0
        self._move_again_seconds = _MOVE_AGAIN_SECONDS
        self._left: frozenset[str] = frozenset()  # drops that are decided and not put away
        self._waiting_folders: tuple[JoblessFolder, ...] = ()
        self._jobless: list[Concern] = []
        self._postponed: str | None = None  # why the last drops could not be stored
        self._last: Scan | None = None
        self._seen: tuple[int, int] | None = None  # the folder as it was when we looked
        self.lying = 0  # drops that the last look saw and that were not decided since

    @property
    def concerns(self) -> list[Concern]:
        """What stays in the inbox until a person does something about it."""
        concerns = [*unmoved(list(self._taker.clerk.unmoved.values())), *self._jobless]
        if self._postponed is not None:
            reason = in_each_language(self._postponed, OBSTACLES)
            concerns.append(Concern("concern.postponed", {"reason": reason}))
        return concerns

    @property
    def idle(self) -> bool:
        """Whether we have looked at least once and no drop was left lying there."""
        return self._last is not None and self._last.settling == 0

    async def run(self, stop: asyncio.Event) -> None:
        """Watch the inbox until *stop* is set; a drop being taken is finished first."""
        watch = Watch(self._settings.path, asyncio.get_running_loop(), self._woken)
        try:
            while not stop.is_set():
                self._woken.clear()
                scan = await self.scan_once(stop, renamed=watch.look())
                if scan.unfinished:
                    continue
                over = not (watch.in_burst and scan.settling)
                if over and scan.inode is not None and scan.inode != watch.inode:
                    await asyncio.to_thread(watch.begin, scan.inode)
                    continue  # what came between looking and watching
                await self._pause(scan, stop, watched=watch.alive and scan.inode is not None)
        finally:
            await asyncio.to_thread(watch.end)

    async def scan_once(
        self, stop: asyncio.Event | None = None, *, renamed: Collection[str] = ()
    ) -> Scan:
        """Finish what was interrupted, take in what is complete, and say what is left.

        For ``run --once``: call again after a pause until ``settling`` is 0. When *stop* is set,
        the remaining drops are left for the next time. *renamed*: see ``Watch.look``.
        """
        async with self._looking:
            self._last = await self._scan(stop, renamed)
            return self._last

    async def _scan(self, stop: asyncio.Event | None, renamed: Collection[str]) -> Scan:
        await self._finish_old_moves()
        pending = self._taker.clerk.pending().values()
        decided = {from_text(filing.name): filing.sight for filing in pending}
        try:
            found, ready = await asyncio.to_thread(self._look, decided, renamed)
        except OSError as error:
            log.warning("inbox.unreadable", path=str(self._settings.path), error=str(error))
            return Scan()
        self._waiting_folders = found.waiting_folders
        self._look_at_jobless()
        self.lying = len(found.places) + found.beyond
        scan = await self._take(ready, stop)
        self._note_left()
        return msgspec.structs.replace(
            scan,
            settling=self.lying,
            unfinished=scan.unfinished or (scan.taken > 0 and found.beyond > 0),
            waiting_folders=len(found.waiting_folders),
            inode=found.inode,
        )

    async def _take(self, ready: list[DropPlace], stop: asyncio.Event | None) -> Scan:
        """Take what is ready for as long as a look may wait; say how far that went."""
        until = self._clock.monotonic() + _TAKING_SECONDS
        taken = 0
        for places in taken_together(ready):
            if stop is not None and stop.is_set():
                return Scan(taken=taken)
            if taken and self._clock.monotonic() > until:
                return Scan(taken=taken, unfinished=True)
            decided, postponed = await self._taker.take(places)
            taken += decided
            self.lying -= decided
            if postponed is not None:
                self._postponed = str(postponed)
                return Scan(taken=taken, postponed=True)
        self._postponed = None
        return Scan(taken=taken)

    def _look_at_jobless(self) -> None:
        """Note which folders stand still without a job file; each is logged once."""
        now, wait_seconds = self._clock.now(), self._settings.wait_for_pictures_seconds
        known, self._jobless = self._jobless, jobless(self._waiting_folders, now, wait_seconds)
        for concern in self._jobless:
            if concern not in known:
                log.warning("folder.no_job_file", folder=concern.values["name"], why=concern.code)

    async def _finish_old_moves(self) -> None:
        """Finish filings that a crash or a full disk interrupted: at start, and when it is due."""
        now, longest_seconds = self._clock.monotonic(), self._settings.rescan_seconds
        if now >= self._old_moves_due:
            await self._taker.clerk.finish_all()
            again_seconds = self._move_again_seconds if self._taker.clerk.left else longest_seconds
            self._old_moves_due = now + min(again_seconds, longest_seconds)
            self._move_again_seconds = min(2 * self._move_again_seconds, longest_seconds)

    def _note_left(self) -> None:
        """Have a move that failed just now tried again soon: most obstacles are short."""
        before, self._left = self._left, self._taker.clerk.left
        if self._left - before:
            self._move_again_seconds = _MOVE_AGAIN_SECONDS
            soon = self._clock.monotonic() + _MOVE_AGAIN_SECONDS
            self._old_moves_due = min(self._old_moves_due, soon)

    def _look(
        self, decided: Mapping[str, Sight], renamed: Collection[str]
    ) -> tuple[Found, list[DropPlace]]:
        if not self._settings.path.is_dir():
            self._ledger.prove_there()
        for folder in ("", *OUR_FOLDERS):
            (self._settings.path / folder).mkdir(parents=True, exist_ok=True)
        waiting = (folder.name for folder in self._waiting_folders)
        self._seen = self._glance()
        known = {*decided, *self._completeness.held, *waiting}
        found = find_drops(self._settings.path, known=known)
        places = tuple(p for p in found.places if decided.get(p.name) != p.sight)
        found = msgspec.structs.replace(found, places=places)
        return found, self._completeness.complete(places, renamed)

    async def _pause(self, scan: Scan, stop: asyncio.Event, *, watched: bool) -> None:
        """Wait until something happens in the inbox, or a look is due anyway."""
        seconds = self._settings.rescan_seconds
        if scan.postponed or scan.waiting_folders or not watched:
            seconds = min(seconds, _UNWATCHED_SECONDS)
        if scan.settling and not scan.postponed:
            seconds = min(seconds, _PULSE_SECONDS, max(0.05, self._settings.settle_seconds / 4))
        until = min(self._clock.monotonic() + seconds, self._old_moves_due)
        while (left := until - self._clock.monotonic()) > 0 and not stop.is_set():
            await self._clock.pause(min(left, _GLANCE_SECONDS), stop, self._woken)
            if self._woken.is_set():
                await self._clock.pause(_BURST_SECONDS, stop)
                return
            if await asyncio.to_thread(self._glance) != self._seen:
                return

    def _glance(self) -> tuple[int, int] | None:
        """Return which folder the inbox is and when something last came or went in it.

        Watches can die unnoticed: seen with watchdog 7.1 when the folder is removed and made anew.
        """
        try:
            folder = self._settings.path.stat()
        except OSError:
            return None
        return folder.st_ino, folder.st_mtime_ns
