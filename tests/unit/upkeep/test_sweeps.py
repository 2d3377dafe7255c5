"""Sweeps run when due, one at a time, to their end; what fails is tried again."""

import asyncio
from datetime import UTC, datetime

import pytest

from config.settings import Settings
from daemon.clock import SystemClock
from daemon.running import run_services
from daemon.upkeep.schedule import Schedule
from daemon.upkeep.sweeps import Sweep, Sweeps, sweep_stuck, sweeps_of
from daemon.words import Words
from ledger.errors import LedgerClosed
from ledger.status import Stage
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


@pytest.mark.parametrize("error", [LedgerClosed("disk full"), OSError("disk full")])
async def test_a_sweep_that_fails_for_the_disks_sake_ends_nothing(error: Exception) -> None:
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
    settings = Settings()
    sweeps = {
        sweep.name: sweep
        for sweep in sweeps_of(
            settings, house.ledger, house.stuck(), house.backups, house.path.joinpath
        )
    }
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
        "retention": 86_400,
    }
