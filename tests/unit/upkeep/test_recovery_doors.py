"""Who keeps the doors closed at a start, and for how long."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from config.settings import Server
from daemon.comfy.client import ComfyClient
from daemon.comfy.server import State
from daemon.settle.absences import SECTION as ABSENCES
from daemon.upkeep.recovery import PATIENCE_SECONDS, Recovery
from ledger.status import Stage
from tests.fakes.clock import FakeClock
from tests.unit.upkeep.conftest import House


@contextlib.asynccontextmanager
async def mute_server(clock: FakeClock) -> AsyncIterator[ComfyClient]:
    """Yield the client of a server that takes every connection and never says a word."""
    over = asyncio.Event()

    async def say_nothing(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await over.wait()
        writer.close()

    server = await asyncio.start_server(say_nothing, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    client = ComfyClient("mute", f"http://127.0.0.1:{port}", clock=clock)
    yield client
    await client.close()
    over.set()
    server.close()


async def test_a_server_that_says_nothing_is_not_waited_for_once_the_others_have_told(
    house: House,
) -> None:
    house.simulator.pace.seconds_per_job = 30
    told, mute = await house.task(Stage.QUEUED), await house.task(Stage.QUEUED, server="mute")
    await house.until(await house.inside(told), State.RUNNING)
    clock = FakeClock()
    async with mute_server(clock) as client:
        servers = house.servers | {"mute": (client, Server(name="mute", url="", settle_seconds=1))}
        recovery = Recovery(house.ledger, servers, house.settlement, clock)
        recovering = asyncio.ensure_future(recovery.recover(asyncio.Event()))
        while house.ledger.task(told.task_id).stage is not Stage.RUNNING:
            await asyncio.sleep(0.01)
        assert not recovering.done()
        while not recovering.done():
            clock.advance(PATIENCE_SECONDS)
            await asyncio.sleep(0.01)
        recovered = await recovering
        assert (recovered.open, recovered.settled, recovered.postponed) == (2, 1, 1)
        assert house.settlement.left_to_recovery == {mute.task_id}  # it is still being asked
        stop = asyncio.Event()
        stop.set()
        await recovery.run(stop)
    assert house.settlement.left_to_recovery == set()
    assert house.ledger.task(mute.task_id) == mute


async def test_what_a_second_look_settles_while_another_server_is_waited_for_is_counted_once(
    house: House,
) -> None:
    await house.task(Stage.QUEUED)  # absent; a second look comes before the other server answers
    await house.task(Stage.QUEUED, server="mute")
    clock = FakeClock()
    async with mute_server(clock) as client:
        servers = house.servers | {"mute": (client, Server(name="mute", url="", settle_seconds=1))}
        recovery = Recovery(house.ledger, servers, house.settlement, clock)
        recovering = asyncio.ensure_future(recovery.recover(asyncio.Event()))
        async with asyncio.timeout(10):
            while "gpu-a" not in house.ledger.meta(ABSENCES):
                await asyncio.sleep(0.01)
            await asyncio.sleep(0.2)  # it settles by the machine's clock
            clock.advance(1)
            while house.ledger.meta(ABSENCES):
                await asyncio.sleep(0.01)
            while not recovering.done():
                clock.advance(PATIENCE_SECONDS)
                await asyncio.sleep(0.01)
        recovered = await recovering
        assert house.ledger.counts()[Stage.WAITING] == 1  # the second look has been
        assert (recovered.settled, recovered.undecided, recovered.postponed) == (1, 0, 1)
        stop = asyncio.Event()
        stop.set()
        await recovery.run(stop)


async def test_a_stop_while_a_server_is_waited_for_ends_the_first_look_and_leaves_nothing_at_work(
    house: House,
) -> None:
    mute = await house.task(Stage.QUEUED, server="mute")
    stop = asyncio.Event()
    async with mute_server(FakeClock()) as client:
        servers = {"mute": (client, Server(name="mute", url="", settle_seconds=1))}
        recovery = Recovery(house.ledger, servers, house.settlement, FakeClock())
        asyncio.get_running_loop().call_later(0.1, stop.set)
        async with asyncio.timeout(1):
            recovered = await recovery.recover(stop)
        assert recovered.postponed == 1
        assert house.settlement.left_to_recovery == set()
        async with asyncio.timeout(1):
            await recovery.run(stop)
    assert house.ledger.task(mute.task_id) == mute
