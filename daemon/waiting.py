"""A start that waits for room: it keeps others out, answers at the door and says what it wants."""

from types import TracebackType
from typing import Self

import structlog

from config.settings import Settings
from daemon.clock import Clock
from daemon.disks import on_full_disks
from daemon.notify import ServiceManager
from daemon.web.porch import Porch
from daemon.words import Words, in_each_language
from ledger.jsondir.files import Disk
from ledger.jsondir.lock import FolderLock
from ledger.timestamps import to_timestamp

log = structlog.get_logger()

#: What a service manager is asked to wait for a start that waits for room; again with each try.
PATIENCE_SECONDS = 120.0


class Wait:
    """Lasts until the end of the block; begins with the first ``go_on``."""

    def __init__(
        self, settings: Settings, clock: Clock, manager: ServiceManager, words: Words
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._manager = manager
        self._words = words
        self._disk = Disk()
        self._lock = FolderLock(settings.ledger.path, self._disk)
        self._porch: Porch | None = None
        self._told = ""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.let_in()
        if self._porch is not None:
            await self._porch.close()

    def keep_out(self) -> None:
        """Hold the ledger's lock, as far as a full disk lets anybody.

        Raises LedgerLocked when another process holds it.
        """
        try:
            self._disk.make_folder(self._settings.ledger.path)
            self._lock.take(to_timestamp(self._clock.now()), must_be_named=False)
        except OSError as error:  # not even the folder can be made: there is nothing to lock
            log.debug("start.holds_no_lock", error=str(error))

    def let_in(self) -> None:
        """Drop the lock, for whoever opens the ledger."""
        self._lock.drop()

    async def go_on(self, error: Exception) -> None:
        """Say where to make room, once while it stays the same; to the service manager each time.

        Raises ConfigError when the door cannot be opened, now or ever.
        """
        full = self._full_folders()
        text = self._words("liveness.waits_for_room", paths=", ".join(full))
        self._manager.starts_later(text, seconds=PATIENCE_SECONDS)
        if text != self._told:
            self._told = text
            hint = "make room there; the start goes on by itself"
            log.error("start.waits_for_room", error=str(error), folders=full, hint=hint)
        if self._porch is None:
            self._porch = Porch(self._settings, in_each_language("starting.no_room"))
            log.info("start.door_opened", url=await self._porch.open())

    def _full_folders(self) -> list[str]:
        """Return where to make room; the state folder when the system does not say."""
        settings = self._settings
        full = on_full_disks((settings.state_dir, settings.ledger.path)) or [settings.state_dir]
        return [str(path) for path in full]
