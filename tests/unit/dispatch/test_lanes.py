"""Which changes make a lane look for a row."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from config.settings import Server
from daemon.comfy.client import ComfyClient
from daemon.comfy.server import Health
from daemon.dispatch.lane import Lane
from daemon.dispatch.lanes import Lanes
from daemon.dispatch.pictures import TaskFiles
from daemon.dispatch.ready import ReadyRows
from daemon.dispatch.servers import ServerState
from daemon.dispatch.submission import Submission
from daemon.settle.server_memory import noting
from daemon.settle.settlement import Settlement
from daemon.settle.streaks import Streaks
from ledger.entry import Record
from ledger.ledger import Ledger
from ledger.memory import MemoryBackend
from ledger.status import Stage
from tests.fakes.clock import FakeClock
from tests.fakes.records import AT, batch_record, task_record

HEALTHY = Health(version="0.3.64", usable=True)
INSIDE = task_record(1, Stage.QUEUED, server="a")


class House:
    """A server with room for one prompt, its lane, and the lanes that follow the ledger."""

    def __init__(self, ledger: Ledger, client: ComfyClient) -> None:
        clock = FakeClock()
        self.ledger = ledger
        self.server = ServerState(Server(name="a", url="", max_in_flight=1), client, ledger)
        ready = ReadyRows(ledger, clock)
        self.lane = Lane(
            self.server,
            ledger=ledger,
            ready=ready,
            submission=Submission(
                ledger, clock, {}, {}, TaskFiles(input_path=Path, output_path=Path)
            ),
            settlement=Settlement(ledger, clock, {}, lambda _: {}),
            streaks=Streaks(ledger, 3),
            clock=clock,
        )
        ledger.subscribe(Lanes(ready, [self.lane]).follow)

    async def looks_after(self, *records: Record) -> bool:
        """Say whether the lane has a look because of a change."""
        self.lane.wake.clear()
        await self.ledger.commit(*records, op="test.changed")
        return self.lane.wake.is_set()


@pytest.fixture
async def house() -> AsyncIterator[House]:
    ledger = Ledger(MemoryBackend())
    await ledger.open()
    await ledger.commit(batch_record(), INSIDE, op="batch.accepted")
    client = ComfyClient("a", "http://127.0.0.1:9", clock=FakeClock())
    yield House(ledger, client)
    await client.close()


async def test_a_row_that_may_run_is_looked_at_only_where_it_can_be_taken(house: House) -> None:
    assert not await house.looks_after(task_record(2))  # nobody answers
    house.server.health = HEALTHY
    assert not await house.looks_after(task_record(3))  # the server is full
    assert await house.looks_after(INSIDE.moved(Stage.WAITING, at=AT, server=None))
    assert await house.looks_after(task_record(4))


async def test_a_server_that_takes_work_again_is_looked_at_whatever_it_has(house: House) -> None:
    house.server.health = HEALTHY
    drained, resumed = (noting(house.ledger, "a", drained=each) for each in (True, False))
    await house.ledger.commit(drained, op="server.drained")
    await house.ledger.commit(INSIDE.moved(Stage.CANCELLED, at=AT), op="task.cancelled")
    assert not await house.looks_after(task_record(2))
    assert await house.looks_after(resumed)
