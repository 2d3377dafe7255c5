"""SIGHUP: the settings are read anew, and those who use them take over what they can."""

from collections.abc import Callable
from typing import TypeAlias

import structlog

from config.settings import Settings
from daemon.dispatch.templates import TemplateError
from daemon.notify import ServiceManager

log = structlog.get_logger()

#: All other sections stay as they were at the start.
_TAKEN_OVER = frozenset({"workflows", "alerts"})

#: Reads the settings anew; raises ValueError when they are wrong.
ReadSettings: TypeAlias = Callable[[], Settings]
#: Takes over what it uses of settings that were read anew; raises when it cannot.
TakeOver: TypeAlias = Callable[[Settings], None]


class Reloading:
    """Has settings that were read anew taken over, by each in the order in which it was added."""

    def __init__(
        self,
        settings: Settings,
        read: ReadSettings | None,
        manager: ServiceManager,
        *take_over: TakeOver,
    ) -> None:
        """Take the *settings* of the start; without *read* a reload does nothing."""
        self._settings = settings
        self._read = read
        self._manager = manager
        self._take_over = [*take_over]

    def add(self, *take_over: TakeOver) -> None:
        """Have these take over the settings too."""
        self._take_over += take_over

    def reload(self) -> None:
        """Read the settings anew; what is wrong with them is logged, and the old ones stay."""
        if self._read is None:
            return
        self._manager.reloading()
        try:
            settings = self._read()
            for take_over in self._take_over:
                take_over(settings)
        except (TemplateError, ValueError) as error:
            log.error("settings.not_reloaded", error=str(error))  # noqa: TRY400 - the text says it all
        else:
            log.info("settings.reloaded", workflows=sorted(settings.workflows))
            self._tell_of_the_rest(settings)
        self._manager.reloaded()

    def _tell_of_the_rest(self, settings: Settings) -> None:
        """Say which other sections differ from those of the start: they do not count yet."""
        sections = [
            name
            for name in Settings.__struct_fields__
            if name not in _TAKEN_OVER and getattr(settings, name) != getattr(self._settings, name)
        ]
        if sections:
            hint = "they take effect when the daemon is started anew"
            log.warning("settings.wait_for_start", sections=sections, hint=hint)
