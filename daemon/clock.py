"""Time as the daemon sees it; handed down, so that tests can move it."""

import asyncio
import contextlib
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class Clock(Protocol):
    """Tells the time and waits."""

    def now(self) -> datetime:
        """Return the present moment, aware, in UTC."""
        ...

    def monotonic(self) -> float:
        """Return seconds that never go back; only differences mean something."""
        ...

    async def pause(self, seconds: float, *until: asyncio.Event) -> None:
        """Wait *seconds*, or less when one of the events *until* is set before."""
        ...


def boot_id() -> str:
    """Return what names this start of the machine, "" where the system does not tell.

    Until the next one ``SystemClock.monotonic`` means the same in every process.
    """
    try:
        return _BOOT_ID.read_text().strip()
    except OSError:
        return ""


class SystemClock:
    """The machine's own clock."""

    def now(self) -> datetime:
        """Return the present moment, aware, in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Return the machine's monotonic seconds."""
        return time.monotonic()

    async def pause(self, seconds: float, *until: asyncio.Event) -> None:
        """Wait *seconds*, or less when one of the events *until* is set before."""
        if not until:
            await asyncio.sleep(seconds)
        elif any(event.is_set() for event in until):
            await asyncio.sleep(0)  # whoever is never left waiting lets the others go on
        elif len(until) == 1:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await until[0].wait()
        else:
            waits = [asyncio.ensure_future(event.wait()) for event in until]
            try:
                await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for wait in waits:
                    wait.cancel()
