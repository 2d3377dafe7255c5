"""What a start needs is opened; on a full disk the start waits for room, as a running daemon does.

Whoever watches over it sees a service that starts and says why it is not up, instead of one that
ends again and again until nobody starts it any more; see ``waiting``.
"""

import asyncio
from contextlib import AsyncExitStack

from config.settings import Settings
from daemon.clock import Clock
from daemon.disks import FULL_BELOW_BYTES, is_full
from daemon.ground import Ground, open_ground
from daemon.notify import ServiceManager
from daemon.waiting import Wait
from daemon.words import Words
from daemon.workflows import Workflows
from ledger.errors import LedgerClosed, LedgerLocked
from ledger.jsondir.files import Disk

#: Between two tries.
ASK_SECONDS = 5.0
#: How long somebody else's lock is waited for, and between two tries: a command without a daemon
#: holds it for moments, only another daemon for longer.
LOCK_SECONDS, LOCK_ASK_SECONDS = 2.0, 0.1


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
        process keeps the lock, ConfigError when a start that waits cannot open its door, and
        OSError or LedgerClosed for what room does not mend; then nothing is open.
        """
        locked_until: float | None = None
        async with Wait(self._settings, self._clock, self._manager, self._words) as wait:
            while not stop.is_set():
                try:
                    if (ground := await self._try(closing, wait, once=once)) is not None:
                        return ground
                    locked_until, pause_seconds = None, ASK_SECONDS
                except LedgerLocked:
                    now, pause_seconds = self._clock.monotonic(), LOCK_ASK_SECONDS
                    locked_until = locked_until or now + LOCK_SECONDS
                    if now >= locked_until:
                        raise
                await self._clock.pause(pause_seconds, stop)
        return None

    async def _try(self, closing: AsyncExitStack, wait: Wait, *, once: bool) -> Ground | None:
        """Open the ground; None when there is no room for it."""
        try:
            await asyncio.to_thread(self._prove_room)
            wait.let_in()
            self._manager.status(self._words("liveness.opening"))
            settings, workflows, clock = self._settings, self._workflows, self._clock
            ground = open_ground(settings, workflows, clock, must_be_whole=once)
            return await closing.enter_async_context(ground)
        except (OSError, LedgerClosed) as error:
            if not _wants_room(error):
                raise
            wait.keep_out()
            if once:
                raise
            await wait.go_on(error)
            return None

    def _prove_room(self) -> None:
        """Make the folders, and see that what a start writes finds room; raises OSError."""
        settings = self._settings
        folders = (settings.inbox.path, settings.outputs.path, settings.inputs.path)
        for folder in (*folders, settings.ledger.path.parent, settings.state_dir):
            folder.mkdir(parents=True, exist_ok=True)
        for folder in {settings.ledger.path.parent, settings.state_dir}:
            Disk().probe(folder, FULL_BELOW_BYTES)


def _wants_room(error: OSError | LedgerClosed) -> bool:
    """Say whether *error*, or what ended the ledger's writing, goes away once there is room."""
    reason = error.__cause__ if isinstance(error, LedgerClosed) else error
    return isinstance(reason, OSError) and is_full(reason)
