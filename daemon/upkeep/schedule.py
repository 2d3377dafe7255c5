"""When sweeps are due. The only importer of APScheduler, which here decides times and no more.

Its shutdown cancels coroutine jobs and its default of ``misfire_grace_time`` skips a run after a
short stall, so a job only passes a wish on, and is never too late.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from apscheduler.schedulers.asyncio import AsyncIOScheduler


class Schedule:
    """Calls *due* with the name of each sweep whose time has come, on the event loop."""

    def __init__(self, due: Callable[[str], None]) -> None:
        self._due = due
        self._scheduler = AsyncIOScheduler(
            timezone=UTC,
            job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
        )

    def add(self, name: str, every_seconds: float, first_seconds: float) -> None:
        """Have *name* called every so many seconds, the first time after *first_seconds*."""

        async def wish() -> None:  # a coroutine runs on the loop, a function in a thread
            self._due(name)

        self._scheduler.add_job(
            wish,
            "interval",
            id=name,
            seconds=every_seconds,
            next_run_time=datetime.now(UTC) + timedelta(seconds=first_seconds),
        )

    def start(self) -> None:
        """Begin, on the running loop."""
        self._scheduler.start()

    def stop(self) -> None:
        """End; nothing is due any more."""
        self._scheduler.shutdown(wait=False)
