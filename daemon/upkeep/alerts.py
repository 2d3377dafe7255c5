"""Tells a Feishu bot what needs a person: merged, repeated while it lasts, and when it is over."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path

import msgspec
import structlog

from config.settings import Alerts as AlertSettings
from config.settings import Settings
from daemon.clock import Clock
from daemon.durable import write_private
from daemon.feishu.errors import FeishuError
from daemon.feishu.quota import Quota
from daemon.feishu.webhook import Webhook
from daemon.tables.feishu_troubles import trouble_of
from daemon.upkeep.alarms import (
    Alarm,
    LedgerAlarms,
    Source,
    disk_alarms,
    quota_alarms,
    stuck_alarms,
    table_alarms,
)
from daemon.words import Words, words_of_tables
from ledger.ledger import Ledger

log = structlog.get_logger()

LOOK_SECONDS = 10.0
#: After a message that could not be sent.
RETRY_SECONDS = 60.0
#: When the daemon stops.
LAST_LOOK_SECONDS = 5.0
#: More than this in one message nobody reads.
LINES = 15


class Told(msgspec.Struct, frozen=True):
    """An alarm that was told."""

    text: str
    at: datetime


class Memory(msgspec.Struct, kw_only=True):
    """What the file holds: what was told and is not over yet, and since when alerts are sent."""

    since: datetime
    told: dict[str, Told] = {}


class Alerts:
    """Looks every few seconds at all *sources* and tells what is news. Nothing waits for it.

    What was told is kept in the file *path*, so that a restart neither tells it again nor forgets
    to tell its end. A kill between message and file leads to the same message once more.
    """

    name = "alerts"

    def __init__(
        self,
        settings: AlertSettings,
        sources: Iterable[Source],
        path: Path,
        clock: Clock,
        words: Words,
    ) -> None:
        self._sources = tuple(sources)
        self._path = path
        self._clock = clock
        self._words = words
        self._hook: Webhook | None = None
        self._memory: Memory | None = None
        self.replace(settings)

    def replace(self, settings: AlertSettings) -> None:
        """Use *settings* from the next look on."""
        self._settings = settings
        self._hook_is_old = True

    async def run(self, stop: asyncio.Event) -> None:
        """Look until *stop*; what hinders a message is logged, and it is tried again later."""
        try:
            while not stop.is_set():
                pause_seconds = LOOK_SECONDS if await self._looked() else RETRY_SECONDS
                await self._clock.pause(pause_seconds, stop)
            with suppress(TimeoutError):
                async with asyncio.timeout(LAST_LOOK_SECONDS):
                    await self._looked()  # what the end of the work brought
        finally:
            await self._close()

    async def _looked(self) -> bool:
        """Look once; whatever hinders it is logged and no concern of anybody else."""
        try:
            await self.look()
        except FeishuError as error:
            hint = trouble_of(error).text(self._words)
            log.warning("alert.not_sent", error=str(error), hint=hint)
        except OSError as error:
            log.warning("alert.not_noted", error=str(error))
        except Exception:
            log.exception("alert.look_failed")
        else:
            return True
        return False

    async def look(self) -> None:
        """Tell what is news since the last look, in one message; raises FeishuError, OSError."""
        hook = await self._bot()
        if hook is None:
            return
        now = self._clock.now()
        if self._memory is None:
            self._memory = await asyncio.to_thread(_read, self._path, now)
        memory = self._memory
        alarms = {
            alarm.key: alarm
            for source in self._sources
            for alarm in await source(now, self._settings)
            if alarm.since is None or alarm.since >= memory.since
        }
        again_after = timedelta(minutes=self._settings.repeat_minutes)
        new = [alarm for key, alarm in alarms.items() if key not in memory.told]
        again = [
            alarm
            for key, alarm in alarms.items()
            if alarm.repeats and key in memory.told and now - memory.told[key].at >= again_after
        ]
        over = [told.text for key, told in memory.told.items() if key not in alarms]
        if not (new or again or over):
            return
        await hook.send(self._message(new, again, over))
        kept = {key: told for key, told in memory.told.items() if key in alarms}
        kept |= {alarm.key: Told(alarm.text, now) for alarm in (*new, *again)}
        self._memory = Memory(since=memory.since, told=kept)
        await asyncio.to_thread(write_private, self._path, msgspec.json.encode(self._memory))

    def _message(self, new: Sequence[Alarm], again: Sequence[Alarm], over: Sequence[str]) -> str:
        parts = [
            ("alert.new", [alarm.text for alarm in new]),
            ("alert.again", [alarm.text for alarm in again]),
            ("alert.over", over),
        ]
        return "\n".join(line for key, texts in parts if texts for line in self._lines(key, texts))

    def _lines(self, key: str, texts: Sequence[str]) -> list[str]:
        lines = [self._words(key), *(f"• {text}" for text in texts[:LINES])]
        if len(texts) > LINES:
            lines.append(self._words("alert.more", count=len(texts) - LINES))
        return lines

    async def _bot(self) -> Webhook | None:
        """Return the bot of the settings, None when they name none."""
        if self._hook_is_old:
            self._hook_is_old = False
            await self._close()
            settings = self._settings
            if settings.feishu_webhook:
                self._hook = Webhook(
                    settings.feishu_webhook,
                    self._clock,
                    secret=settings.feishu_webhook_secret,
                    keyword=settings.feishu_keyword,
                )
        return self._hook

    async def _close(self) -> None:
        hook, self._hook = self._hook, None
        if hook is not None:
            await hook.close()


def make_alerts(
    settings: Settings,
    ledger: Ledger,
    clock: Clock,
    stuck: Callable[[], int],
    quota: Quota | None,
) -> Alerts:
    """Return the alerts of a daemon; *stuck* tells how many tasks the last look found so."""
    words = words_of_tables(settings.language)
    sources: list[Source] = [
        LedgerAlarms(ledger, [server.name for server in settings.servers], words),
        stuck_alarms(stuck, words),
        disk_alarms((settings.state_dir, settings.outputs.path, settings.inputs.path), words),
        table_alarms(ledger, [table.name for table in settings.tables], words),
    ]
    if quota is not None:
        sources.append(quota_alarms(quota, words))
    return Alerts(settings.alerts, sources, settings.state_dir / "alerts.json", clock, words)


def _read(path: Path, now: datetime) -> Memory:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Memory)
    except FileNotFoundError:
        return Memory(since=now)
    except msgspec.DecodeError as error:
        log.warning("alert.memory_unreadable", error=str(error))
        return Memory(since=now)
