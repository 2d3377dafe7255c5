"""Counts the calls of a month and holds all of them back once there are no more to be had.

Free tenants have one limit for all their apps together (10,000 a month in 2024, more at times);
beyond it every call is answered 99991403 until the month ends. Not counted there, so not counted
here: getting a token, calls answered 4xx or 5xx, the custom bot.
"""

import asyncio
import os
from datetime import datetime, timedelta, timezone
from pathlib import Path

import msgspec
import structlog

from daemon.clock import Clock
from daemon.durable import write_private
from daemon.feishu.errors import FeishuError, Reaction
from daemon.words.recorded import recorded

log = structlog.get_logger()

#: Feishu's months are those of Beijing (an assumption: its documents name no zone).
_BEIJING = timezone(timedelta(hours=8))
#: So many calls are written down ahead: a kill makes us count up to so many too many, never less.
RESERVED_CALLS = 50
#: From this share of the budget on a warning is due; Feishu itself warns its customers there.
WARNED_SHARE = 0.9


class Spent(msgspec.Struct, kw_only=True):
    """What the file holds."""

    month: str = ""  # "2026-11"
    calls: int = 0
    paused_until: str | None = None  # the first instant of the next month, as ISO text
    paused_by: str | None = None  # "feishu" or "budget"
    resumed: bool = False  # a person let calls pass: the budget holds nothing back this month


class Quota:
    """One counter for all tables. The file is read at the first call and kept nearly exact.

    The folder that it lies in is not made: before there is one, calls count for this process alone.
    """

    def __init__(self, path: Path, clock: Clock, *, budget: int = 0) -> None:
        self._path = path
        self._clock = clock
        self.budget = budget  # 0: only Feishu's own limit
        self._spent: Spent | None = None
        self._written_calls = 0
        self._stamp = 0
        self._writing = asyncio.Lock()

    @property
    def calls(self) -> int:
        """How many calls this month has seen; up to ``RESERVED_CALLS`` too many after a kill."""
        return self._now().calls

    @property
    def paused_by(self) -> str | None:
        """Who holds the calls back, "feishu" or "budget", or nobody."""
        return self._now().paused_by

    @property
    def paused_until(self) -> str | None:
        """Until when the calls are held back; ISO text."""
        return self._now().paused_until

    @property
    def nearly_spent(self) -> bool:
        """Whether the month's budget is nearly used up, or wholly."""
        return bool(self.budget) and self._now().calls >= WARNED_SHARE * self.budget

    def check(self, call: str) -> None:
        """Raise FeishuError with ``QUOTA`` while calls are held back."""
        if self._now().paused_by is not None and not self._was_resumed():
            said = recorded("held_back", until=self.paused_until)
            raise FeishuError(Reaction.QUOTA, "quota", call=call, said=said)

    async def count(self) -> None:
        """Count a call that was answered; pauses when it was the budget's last."""
        spent = self._now()
        spent.calls += 1
        is_last = bool(self.budget) and spent.calls >= self.budget
        if is_last and not spent.resumed and spent.paused_by is None:
            await self.pause("budget")
        elif spent.calls > self._written_calls:
            await self._write(spent.calls + RESERVED_CALLS)

    async def pause(self, by: str) -> None:
        """Hold all calls back until the month ends; survives a restart."""
        spent = self._now()
        if spent.paused_by is None:
            spent.paused_by = by
            spent.paused_until = _next_month(self._clock.now()).isoformat()
            log.error("feishu.calls_held_back", by=by, until=spent.paused_until, calls=spent.calls)
        await self._write(spent.calls, durable=True)

    async def resume(self) -> None:
        """Let calls pass again: a person says that there are more to be had.

        A process that holds calls back sees at its next one that another has resumed them.
        """
        spent = self._now()
        spent.paused_by = spent.paused_until = None
        spent.resumed = True
        log.info("feishu.calls_resumed", calls=spent.calls)
        await self._write(spent.calls, durable=True)

    def _was_resumed(self) -> bool:
        """Say whether another process (a command) has let calls pass since we held them back."""
        if _stamp(self._path) == self._stamp:
            return False
        self._spent = None
        return self._now().paused_by is None

    async def close(self) -> None:
        """Write the exact number down."""
        if self._spent is not None:
            await self._write(self._spent.calls)

    def _now(self) -> Spent:
        """Return this month's count; a new month begins at nothing, unpaused."""
        if self._spent is None:
            self._stamp = _stamp(self._path)
            self._spent = _read(self._path)
            self._written_calls = self._spent.calls
        month = self._clock.now().astimezone(_BEIJING).strftime("%Y-%m")
        if self._spent.month != month:
            self._spent = Spent(month=month)
            self._written_calls = 0
        return self._spent

    async def _write(self, calls: int, *, durable: bool = False) -> None:
        async with self._writing:
            record = msgspec.structs.replace(self._now(), calls=calls)
            self._written_calls = calls
            content = msgspec.json.encode(record) + b"\n"
            try:
                await asyncio.to_thread(_replace, self._path, content, durable=durable)
                self._stamp = _stamp(self._path)
            except FileNotFoundError:  # no daemon has made the state folder yet, or it was moved
                pass
            except OSError as error:  # the count is worth less than the work
                log.warning("feishu.count_not_written", error=str(error))


def _read(path: Path) -> Spent:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Spent)
    except FileNotFoundError:
        return Spent()
    except (OSError, msgspec.DecodeError) as error:
        log.warning("feishu.count_unreadable", error=str(error))
        return Spent()


def _stamp(path: Path) -> int:
    """Return what is another number after each write of the file."""
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


def _replace(path: Path, content: bytes, *, durable: bool) -> None:
    if durable:
        write_private(path, content)
        return
    draft = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    draft.write_bytes(content)
    draft.replace(path)


def _next_month(now: datetime) -> datetime:
    here = now.astimezone(_BEIJING)
    first = here.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    return (first + timedelta(days=32)).replace(day=1)
