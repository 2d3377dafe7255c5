"""Sweeps run when due, one at a time, to their end; what fails is tried again."""

import asyncio
import itertools
from datetime import UTC, datetime, timedelta

import pytest

from config.settings import Settings
from daemon.clock import SystemClock
from daemon.running import run_services
from daemon.upkeep.schedule import Schedule
from daemon.upkeep.steady_time import SteadyTime
from daemon.upkeep.sweeps import Daily, Sweep, Sweeps, sweep_stuck, sweeps_of
from daemon.words import Words
from ledger.errors import LedgerClosed
from ledger.status import Stage
from tests.fakes.clock import FakeClock
from tests.unit.upkeep.conftest import House

NEVER = 1_000_000.0


async def test_the_schedule_asks_for_a_sweep_again_and_again() -> None:
    asked: asyncio.Queue[str] = asyncio.Queue()
    schedule = Schedule(asked.put_nowait)
    schedule.add("stuck", 0.05, 0.01)
    schedule.add("retention", NEVER, NEVER)
    schedule.start()
    async with asyncio.timeout(5):
        assert [await asked.get() for _ in range(3)] == ["stuck"] * 3
    schedule.stop()
    await asyncio.sleep(0)
    while not asked.empty():
        asked.get_nowait()
    await asyncio.sleep(0.12)
    assert asked.empty()


def test_a_stall_skips_no_run_and_piles_none_up() -> None:
    schedule = Schedule(print)
    schedule.add("stuck", 60, 60)
    defaults = schedule._scheduler._job_defaults
    assert defaults == {"coalesce": True, "max_instances": 1, "misfire_grace_time": None}


async def test_a_sweep_at_work_is_brought_to_its_end_when_the_daemon_stops() -> None:
    stop, begun, ended = asyncio.Event(), asyncio.Event(), []

    async def act(now: datetime) -> None:
        begun.set()
        await asyncio.sleep(0.1)
        ended.append(now)

    sweeps = Sweeps([Sweep("slow", NEVER, 0.01, act)], SystemClock())
    running = asyncio.ensure_future(run_services([sweeps], stop, grace_seconds=5))
    await begun.wait()
    stop.set()
    await running
    assert len(ended) == 1
    assert ended[0].tzinfo is UTC


async def test_a_sweep_asked_for_twice_runs_once_and_two_never_at_the_same_time() -> None:
    stop, order = asyncio.Event(), []

    async def first(_now: datetime) -> None:
        order.append("first begins")
        sweeps.wish("second")
        sweeps.wish("second")
        await asyncio.sleep(0.02)
        order.append("first ends")

    async def second(_now: datetime) -> None:
        order.append("second")
        stop.set()

    both = [Sweep("first", NEVER, NEVER, first), Sweep("second", NEVER, NEVER, second)]
    sweeps = Sweeps(both, SystemClock())
    sweeps.wish("first")
    await asyncio.wait_for(sweeps.run(stop), timeout=5)
    assert order == ["first begins", "first ends", "second"]


@pytest.mark.parametrize("error", [LedgerClosed("disk full"), OSError("disk full"), KeyError("x")])
async def test_a_sweep_that_fails_ends_nothing_whatever_it_was(error: Exception) -> None:
    async def act(_now: datetime) -> None:
        raise error

    await Sweeps([Sweep("x", NEVER, NEVER, act)], SystemClock()).carry_out("x")


async def test_the_stuck_sweep_recovers_when_told_to(house: House, words: Words) -> None:
    lost = await house.task(age=45)
    stuck = house.stuck()
    await sweep_stuck(stuck, words, recover=False)
    assert stuck.stuck == 1
    assert house.ledger.task(lost.task_id) == lost
    await sweep_stuck(stuck, words, recover=True)
    assert house.ledger.task(lost.task_id).stage is Stage.WAITING
    assert (stuck.stuck, stuck.resets) == (0, 1)


async def test_the_daily_sweeps_back_up_and_tidy_a_real_ledger(house: House) -> None:
    settings, clock = Settings(), FakeClock()
    sweeps = {
        sweep.name: sweep
        for sweep in sweeps_of(
            settings,
            house.ledger,
            house.stuck(),
            house.backups,
            house.path.joinpath,
            clock,
            SteadyTime(clock),
        )
    }
    clock.advance(3_600)
    old = await house.task(Stage.FAILED, age=60 * 24 * 31, finished_at="2020-01-01T00:00:00.000Z")
    for sweep in sweeps.values():
        await sweep.act(datetime.now(UTC))
    assert len(house.backups.all()) == 1
    assert house.ledger.index.find_task(old.task_id) is None
    archived = await house.ledger.find_archived(old.task_id)
    assert archived == old
    assert {name: sweep.every_seconds for name, sweep in sweeps.items()} == {
        "stuck": settings.sweeps.stuck_every_seconds,
        "backup": 86_400,
        "retention": 3_600,  # it looks whether a day has passed
    }


class WrongClock(FakeClock):
    """A clock of the wall that a test sets otherwise; the monotonic one goes on."""

    wrong_by = timedelta(0)

    def now(self) -> datetime:
        return super().now() + self.wrong_by


@pytest.fixture
def clock() -> WrongClock:
    return WrongClock()


@pytest.fixture
def tidied() -> list[datetime]:
    return []


@pytest.fixture
def daily(clock: WrongClock, tidied: list[datetime]) -> Daily:
    async def tidy(now: datetime) -> None:
        tidied.append(now)

    return Daily(tidy, clock, SteadyTime(clock))


async def hours(daily: Daily, clock: WrongClock, count: int) -> None:
    for _ in range(count):
        clock.advance(3_600)
        await daily(clock.now())


async def test_nothing_is_removed_by_age_in_the_first_hour_and_then_once_a_day(
    daily: Daily, clock: WrongClock, tidied: list[datetime]
) -> None:
    clock.advance(3_540)
    await daily(clock.now())
    assert tidied == []
    await hours(daily, clock, 60)
    assert [after - before for before, after in itertools.pairwise(tidied)] == [
        timedelta(days=1)
    ] * 2


@pytest.mark.parametrize("years", [14, -20])
async def test_nothing_is_removed_by_a_clock_that_was_set_wrong_nor_until_it_is_right_for_a_day(
    daily: Daily, clock: WrongClock, tidied: list[datetime], years: int
) -> None:
    await hours(daily, clock, 1)
    assert len(tidied) == 1
    clock.wrong_by = timedelta(days=365 * years)
    await hours(daily, clock, 23)
    clock.wrong_by = timedelta(0)
    await hours(daily, clock, 24)
    assert len(tidied) == 1
    await hours(daily, clock, 2)
    assert tidied[1:] == [tidied[1]]
    assert tidied[1] - tidied[0] < timedelta(days=3)


async def test_a_clock_that_is_only_adjusted_hinders_nothing(
    daily: Daily, clock: WrongClock, tidied: list[datetime]
) -> None:
    for _ in range(49):
        clock.wrong_by += timedelta(seconds=100)
        await hours(daily, clock, 1)
    assert len(tidied) == 3


async def test_sweeps_go_on_after_the_clock_leapt_back_from_a_far_year(clock: WrongClock) -> None:
    stop, seen = asyncio.Event(), list[datetime]()

    async def act(now: datetime) -> None:
        seen.append(now)

    sweeps = Sweeps([Sweep("stuck", NEVER, 0.01, act)], clock)  # due once by each schedule
    running = asyncio.ensure_future(sweeps.run(stop))
    async with asyncio.timeout(5):
        while not seen:
            await asyncio.sleep(0.01)
        clock.wrong_by = timedelta(days=-5_000)
        clock.advance(61)
        while len(seen) < 2:
            await asyncio.sleep(0.01)
    stop.set()
    await running
    assert seen[1] < seen[0] - timedelta(days=4_000)
