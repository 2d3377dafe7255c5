"""Time that a test moves by hand."""

import asyncio
from datetime import UTC, datetime, timedelta

START = datetime(2026, 11, 21, 10, 0, tzinfo=UTC)


class FakeClock:
    """Stands still until ``advance``; pauses end when their time has come."""

    def __init__(self) -> None:
        self._seconds = 0.0
        self._moved = asyncio.Event()
        self.leapt = timedelta()  # what somebody has set the clock on the wall by

    def now(self) -> datetime:
        return START + timedelta(seconds=self._seconds) + self.leapt

    def monotonic(self) -> float:
        return self._seconds

    def advance(self, seconds: float) -> None:
        self._seconds += seconds
        self._moved.set()
        self._moved = asyncio.Event()

    async def pause(self, seconds: float, *until: asyncio.Event) -> None:
        due = self._seconds + seconds
        while self._seconds < due and not any(event.is_set() for event in until):
            waits = [asyncio.ensure_future(event.wait()) for event in (self._moved, *until)]
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            for wait in waits:
                wait.cancel()


class QuickClock:
    """Runs *speed* times as fast as the machine's clock; for whole-daemon tests with delays."""

    def __init__(self, speed: float) -> None:
        self._speed = speed
        self._began = datetime.now(UTC)

    def now(self) -> datetime:
        return self._began + (datetime.now(UTC) - self._began) * self._speed

    def monotonic(self) -> float:
        return (datetime.now(UTC) - self._began).total_seconds() * self._speed

    async def pause(self, seconds: float, *until: asyncio.Event) -> None:
        if not until:
            await asyncio.sleep(seconds / self._speed)
            return
        waits = [asyncio.ensure_future(event.wait()) for event in until]
        try:
            await asyncio.wait(
                waits, timeout=seconds / self._speed, return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            for wait in waits:
                wait.cancel()


class JumpingClock(FakeClock):
    """A clock on which a pause takes no time but has passed; ``pauses`` tells them in order."""

    def __init__(self) -> None:
        super().__init__()
        self.pauses: list[float] = []

    async def pause(self, seconds: float, *until: asyncio.Event) -> None:
        self.pauses.append(seconds)
        self.advance(seconds)
        await asyncio.sleep(0)
