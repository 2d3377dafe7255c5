"""Starts that are killed while they wait for what a server does not know add up to one that is not."""

import asyncio

import pytest

from config.settings import Server
from daemon.comfy.server import State
from daemon.settle.absences import SECTION
from daemon.settle.settlement import Settlement
from daemon.upkeep.recovery import Recovery
from ledger.entry import Meta
from ledger.status import Stage
from tests.fakes.clock import FakeClock, JumpingClock
from tests.unit.upkeep.conftest import WORKFLOWS, House

SETTLE_SECONDS = 10.0
KILLED_AFTER_SECONDS = 4.0


class WatchedClock(FakeClock):
    """A clock that tells when somebody waits by it."""

    def __init__(self) -> None:
        super().__init__()
        self.waited_by = asyncio.Event()

    async def pause(self, seconds: float, *until: asyncio.Event) -> None:
        self.waited_by.set()
        await super().pause(seconds, *until)


def start(house: House, clock: FakeClock) -> Recovery:
    """Return the recovery of a new process: it knows what the ledger knows."""
    settings = Server(
        name="gpu-a", url=house.simulator.url, settle_seconds=SETTLE_SECONDS, poll_seconds=0.1
    )
    settlement = Settlement(house.ledger, clock, WORKFLOWS, lambda _: ())
    return Recovery(house.ledger, {"gpu-a": (house.client, settings)}, settlement, clock)


async def killed_while_it_waits(house: House, clock: WatchedClock) -> None:
    clock.waited_by.clear()
    recovering = asyncio.ensure_future(start(house, clock).recover())
    async with asyncio.timeout(10):
        await clock.waited_by.wait()
    clock.advance(KILLED_AFTER_SECONDS)
    recovering.cancel()
    await asyncio.wait([recovering])


async def test_a_start_goes_on_with_the_wait_of_those_that_were_killed(house: House) -> None:
    house.simulator.pace.seconds_per_job = 30
    known, lost = await house.task(Stage.QUEUED), await house.task(Stage.QUEUED)
    await house.until(await house.inside(known), State.RUNNING)
    clock = WatchedClock()
    await killed_while_it_waits(house, clock)
    assert house.ledger.task(known.task_id).stage is Stage.RUNNING  # settled at once, for good
    await killed_while_it_waits(house, clock)
    last = JumpingClock()
    last.advance(clock.monotonic())
    recovered = await start(house, last).recover()
    assert last.pauses == [SETTLE_SECONDS - 2 * KILLED_AFTER_SECONDS]
    assert (recovered.open, recovered.settled) == (2, 2)
    assert house.ledger.task(lost.task_id).stage is Stage.WAITING
    assert house.ledger.meta(SECTION) == {}


@pytest.mark.parametrize("meanwhile", ["it was sent anew", "the machine was started anew"])
async def test_a_wait_that_says_nothing_any_more_is_waited_again(
    house: House, meanwhile: str
) -> None:
    lost = await house.task(Stage.QUEUED)
    clock = WatchedClock()
    await killed_while_it_waits(house, clock)
    if meanwhile == "it was sent anew":
        again = house.ledger.task(lost.task_id).changed(at=lost.updated_at, attempt=2)
        await house.ledger.commit(again, op="task.submitted")
    else:
        note = house.ledger.meta(SECTION)["gpu-a"] | {"boot_id": "another"}
        await house.ledger.commit(Meta(section=SECTION, key="gpu-a", value=note), op="test.noted")
    last = JumpingClock()
    last.advance(clock.monotonic())
    await start(house, last).recover()
    assert last.pauses == [SETTLE_SECONDS]
