"""Starts that are killed while they wait for what a server does not know add up to one that is not."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from config.settings import Server
from daemon.comfy.server import State
from daemon.settle.absences import SECTION
from daemon.settle.settlement import Settlement
from daemon.upkeep.recovery import Recovered, Recovery
from ledger.entry import Meta
from ledger.status import Stage
from tests.fakes.clock import FakeClock
from tests.unit.upkeep.conftest import WORKFLOWS, House

SETTLE_SECONDS = 10.0
KILLED_AFTER_SECONDS = 4.0


class WatchedClock(FakeClock):
    """A clock that tells when somebody waits by it for nothing but time, and how long."""

    def __init__(self) -> None:
        super().__init__()
        self.waits: asyncio.Queue[float] = asyncio.Queue()

    async def pause(self, seconds: float, *until: asyncio.Event) -> None:
        if not until:
            self.waits.put_nowait(seconds)
        await super().pause(seconds, *until)


class Start:
    """The recovery of a new process, which knows what the ledger knows, at its second look."""

    def __init__(self, recovered: Recovered, waits_seconds: float, ended: asyncio.Future) -> None:
        self.recovered = recovered
        self.waits_seconds = waits_seconds
        self.ended = ended


@contextlib.asynccontextmanager
async def started(house: House, clock: WatchedClock) -> AsyncIterator[Start]:
    """Start; the block begins when only time is waited for, at its end the process is killed."""
    settings = Server(
        name="gpu-a", url=house.simulator.url, settle_seconds=SETTLE_SECONDS, poll_seconds=0.1
    )
    settlement = Settlement(house.ledger, clock, WORKFLOWS, lambda _: ())
    servers = {"gpu-a": (house.client, settings)}
    recovery = Recovery(house.ledger, servers, settlement, clock)
    async with asyncio.timeout(10):
        recovered = await recovery.recover(asyncio.Event())
        goes_on = asyncio.ensure_future(recovery.run(asyncio.Event()))
        yield Start(recovered, await clock.waits.get(), goes_on)
        goes_on.cancel()
        await asyncio.wait([goes_on])


async def killed_while_it_waits(house: House, clock: WatchedClock) -> None:
    async with started(house, clock) as start:
        clock.advance(KILLED_AFTER_SECONDS)
        assert start.recovered.undecided == 1


async def test_a_start_goes_on_with_the_wait_of_those_that_were_killed(house: House) -> None:
    house.simulator.pace.seconds_per_job = 30
    known, lost = await house.task(Stage.QUEUED), await house.task(Stage.QUEUED)
    await house.until(await house.inside(known), State.RUNNING)
    clock = WatchedClock()
    await killed_while_it_waits(house, clock)
    assert house.ledger.task(known.task_id).stage is Stage.RUNNING  # settled at once, for good
    await killed_while_it_waits(house, clock)
    async with started(house, clock) as last:
        assert last.waits_seconds == SETTLE_SECONDS - 2 * KILLED_AFTER_SECONDS
        assert (last.recovered.open, last.recovered.settled) == (2, 1)
        assert house.ledger.task(lost.task_id) == lost
        clock.advance(last.waits_seconds)
        await last.ended
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
    async with started(house, clock) as last:
        assert last.waits_seconds == SETTLE_SECONDS
