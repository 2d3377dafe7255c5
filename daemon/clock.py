"""Time as the daemon sees it; handed down, so that tests can move it."""

import asyncio
import contextlib
from pathlib import Path
from typing import Protocol

from daemon.timepiece import MachineTime, Timepiece

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class Clock(Timepiece, Protocol):
    """Tells the time and waits."""

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


class SystemClock(MachineTime):
    """The machine's own clock."""

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
