"""The periodic work: each sweep is a plain coroutine of *now*; a service carries them out.

``schedule`` only says when one is due; what must end well runs here, under ``running``.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from pathlib import Path
from typing import TypeAlias

import msgspec
import structlog

from config.settings import Settings
from daemon.clock import Clock
from daemon.upkeep.backup import LedgerBackups
from daemon.upkeep.retention import forget_inputs, forget_outputs
from daemon.upkeep.schedule import Schedule
from daemon.upkeep.steady_time import SteadyTime
from daemon.upkeep.stuck import StuckTasks
from daemon.words import Words, words_of_tables
from ledger.errors import LedgerError
from ledger.ledger import Ledger

log = structlog.get_logger()

Act: TypeAlias = Callable[[datetime], Awaitable[object]]

DAY_SECONDS, HOUR_SECONDS = 86_400.0, 3_600.0
#: A backup is made so long after a start: a daemon that is restarted daily has them too.
AFTER_START_SECONDS = 120.0
#: How often the clocks are compared.
LOOK_SECONDS = 60.0


class Sweep(msgspec.Struct, frozen=True):
    """Periodic work."""

    name: str
    every_seconds: float
    first_seconds: float  # after the start
    act: Act


class Sweeps:
    """Carries out what is due, one after the other; a sweep asked for twice runs once."""

    name = "sweeps"

    def __init__(self, sweeps: list[Sweep], clock: Clock, steady: SteadyTime | None = None) -> None:
        self._sweeps = {sweep.name: sweep for sweep in sweeps}
        self._clock = clock
        self._steady = steady or SteadyTime(clock)
        self._due: dict[str, None] = {}
        self._wake = asyncio.Event()

    def wish(self, name: str) -> None:
        """Ask for a sweep; returns at once."""
        self._due[name] = None
        self._wake.set()

    async def run(self, stop: asyncio.Event) -> None:
        """Carry out what is due until *stop*; a sweep at work is brought to its end."""
        schedule, leaps = self._begin_schedule(), self._steady.leaps
        try:
            while not stop.is_set():
                self._wake.clear()
                self._steady.look()
                if leaps != self._steady.leaps:  # its times are of a wall clock that is no more
                    log.warning("clock.leapt", now=self._clock.now().isoformat())
                    schedule.stop()
                    schedule, leaps = self._begin_schedule(), self._steady.leaps
                if self._due:
                    name = next(iter(self._due))
                    del self._due[name]
                    await self.carry_out(name)
                else:
                    await self._clock.pause(LOOK_SECONDS, self._wake, stop)
        finally:
            schedule.stop()

    def _begin_schedule(self) -> Schedule:
        schedule = Schedule(self.wish)
        for sweep in self._sweeps.values():
            schedule.add(sweep.name, sweep.every_seconds, sweep.first_seconds)
        schedule.start()
        return schedule

    async def carry_out(self, name: str) -> None:
        """Run one sweep now; what hinders it is logged, the next time it is tried again."""
        try:
            await self._sweeps[name].act(self._clock.now())
        except (LedgerError, OSError) as error:  # the disk, or the ledger for its sake
            log.warning("sweep.failed", sweep=name, error=str(error) or type(error).__name__)
        except Exception:  # a fault of ours; rows are made all the same
            log.exception("sweep.failed", sweep=name)


class Daily:
    """Does once a day what removes by age, and only by a wall clock that can be trusted.

    Asked for every hour: what the clock hinders, or an error, is done an hour later.
    """

    def __init__(self, act: Act, clock: Clock, steady: SteadyTime) -> None:
        self._act = act
        self._clock = clock
        self._steady = steady
        self._due_at = clock.monotonic()

    async def __call__(self, now: datetime) -> None:
        """Do it if a day has passed since it was done and the clock is steady."""
        if not self._steady.look():
            log.info("retention.put_off", reason="started, or clock set, not long ago")
        elif self._clock.monotonic() >= self._due_at:
            await self._act(now)
            self._due_at = self._clock.monotonic() + DAY_SECONDS - HOUR_SECONDS / 2


def sweeps_of(  # noqa: PLR0917 - what is swept comes from everywhere
    settings: Settings,
    ledger: Ledger,
    stuck: StuckTasks,
    backups: LedgerBackups,
    output_path: Callable[[str], Path],
    clock: Clock,
    steady: SteadyTime,
) -> list[Sweep]:
    """Return all periodic work of a daemon with these settings."""
    words = words_of_tables(settings.language)
    every_seconds = settings.sweeps.stuck_every_seconds

    async def look_after_stuck(_now: datetime) -> None:
        await sweep_stuck(stuck, words, recover=settings.sweeps.auto_recover)

    async def tidy(now: datetime) -> None:
        await sweep_retention(settings, ledger, output_path, now)

    async def back_up(now: datetime) -> None:
        await asyncio.to_thread(backups.make, now)

    return [
        Sweep("stuck", every_seconds, every_seconds, look_after_stuck),
        Sweep("backup", DAY_SECONDS, AFTER_START_SECONDS, back_up),
        Sweep("retention", HOUR_SECONDS, HOUR_SECONDS + LOOK_SECONDS, Daily(tidy, clock, steady)),
    ]


async def sweep_stuck(stuck: StuckTasks, words: Words, *, recover: bool) -> None:
    """Look for stuck tasks, and with *recover* set them right."""
    check = await stuck.check(words)
    if not check.total_stuck:
        return
    log.warning(
        "tasks.stuck",
        count=check.total_stuck,
        tasks={task.id: task.stuck_reason for task in check.stuck_tasks},
    )
    if recover:
        result = await stuck.recover(words, actor="sweep:stuck")
        log.info("tasks.recovered", reset=result.reset_task_ids, message=result.message)


async def sweep_retention(
    settings: Settings, ledger: Ledger, output_path: Callable[[str], Path], now: datetime
) -> None:
    """Forget what is old enough, in this order: files first, then the records that name them."""
    outputs, inputs = settings.outputs, settings.inputs
    await forget_outputs(ledger, output_path, outputs.path, now, outputs.retention_days)
    await forget_inputs(ledger, inputs.path, now, inputs.retention_days)
    archived = await ledger.archive_finished(now)
    if archived:
        log.info("ledger.archived", tasks=archived)
    await ledger.compact()
    forgotten = await ledger.forget_history(now)
    if forgotten:
        log.info("history.forgotten", journals=forgotten)
