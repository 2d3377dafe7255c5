"""What a start needs is opened; on a full disk the start waits for room, as a running daemon does.

Whoever watches over it sees a service that starts and says why it is not up, instead of one that
ends again and again until nobody starts it any more. Nothing is held meanwhile, not even the lock.
"""

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

import structlog

from config.settings import Settings
from daemon.clock import Clock
from daemon.disks import FULL_BELOW_BYTES, is_full, on_full_disks
from daemon.ground import Ground, open_ground
from daemon.notify import ServiceManager
from daemon.words import Words
from daemon.workflows import Workflows
from ledger.errors import LedgerClosed, LedgerLocked
from ledger.jsondir.files import Disk

log = structlog.get_logger()

#: Between two tries.
ASK_SECONDS = 5.0
#: How long somebody else's lock is waited for, and between two tries: a command without a daemon
#: holds it for moments, only another daemon for longer.
LOCK_SECONDS, LOCK_ASK_SECONDS = 2.0, 0.1
#: What a service manager is asked to wait for a start that waits for room; again with each try.
PATIENCE_SECONDS = 120.0


class Opening:
    """Opens the ground of a start."""

    def __init__(
        self,
        settings: Settings,
        workflows: Workflows,
        clock: Clock,
        manager: ServiceManager,
        words: Words,
    ) -> None:
        self._settings = settings
        self._workflows = workflows
        self._clock = clock
        self._manager = manager
        self._words = words

    async def open(
        self, closing: AsyncExitStack, stop: asyncio.Event, *, once: bool
    ) -> Ground | None:
        """Make the folders and open the ground, which *closing* closes, once there is room.

        None when *stop* was set before. With *once* nobody waits: a full disk raises OSError or
        LedgerClosed, a damaged ledger LedgerDamaged. Raises LedgerLocked either way, when another
        process keeps the lock, and OSError or LedgerClosed for what room does not mend; then
        nothing is open.
        """
        locked_until = self._clock.monotonic() + LOCK_SECONDS
        while True:
            pause_seconds = ASK_SECONDS
            try:
                return await self._open(closing, must_be_whole=once)
            except LedgerLocked:
                if self._clock.monotonic() >= locked_until:
                    raise
                pause_seconds = LOCK_ASK_SECONDS
            except (OSError, LedgerClosed) as error:
                if once or not _wants_room(error):
                    raise
                self._tell(error)
            await self._clock.pause(pause_seconds, stop)
            if stop.is_set():
                return None

    async def _open(self, closing: AsyncExitStack, *, must_be_whole: bool) -> Ground:
        self._manager.status(self._words("liveness.opening"))
        await asyncio.to_thread(self._prove_room)
        settings, workflows, clock = self._settings, self._workflows, self._clock
        ground = open_ground(settings, workflows, clock, must_be_whole=must_be_whole)
        return await closing.enter_async_context(ground)

    def _prove_room(self) -> None:
        """Make the folders, and see that what a start writes finds room; raises OSError."""
        settings = self._settings
        folders = (settings.inbox.path, settings.outputs.path, settings.inputs.path)
        for folder in (*folders, settings.ledger.path.parent, settings.state_dir):
            folder.mkdir(parents=True, exist_ok=True)
        for folder in {settings.ledger.path.parent, settings.state_dir}:
            Disk().probe(folder, FULL_BELOW_BYTES)

    def _tell(self, error: Exception) -> None:
        full = self._full_folders()
        log.error(
            "start.waits_for_room",
            error=str(error),
            folders=[str(path) for path in full],
            hint="make room there; the start goes on by itself",
        )
        paths = ", ".join(map(str, full))
        self._manager.starts_later(
            self._words("liveness.waits_for_room", paths=paths), seconds=PATIENCE_SECONDS
        )

    def _full_folders(self) -> list[Path]:
        """Return where to make room; the state folder when the system does not say."""
        settings = self._settings
        return on_full_disks((settings.state_dir, settings.ledger.path)) or [settings.state_dir]


def _wants_room(error: OSError | LedgerClosed) -> bool:
    """Say whether *error*, or what ended the ledger's writing, goes away once there is room."""
    reason = error.__cause__ if isinstance(error, LedgerClosed) else error
    return isinstance(reason, OSError) and is_full(reason)
