"""Thousands of batches of one row each: what they cost while others have their turn."""

import gc
import tracemalloc
from collections import Counter
from collections.abc import AsyncIterator

import pytest

from config.settings import Server
from daemon.comfy.client import ComfyClient
from daemon.comfy.server import Health
from daemon.dispatch.holding import Holding
from daemon.dispatch.ready import ReadyRows
from daemon.dispatch.servers import ServerState
from ledger.batch import Batch, BatchStatus
from ledger.ledger import Ledger
from ledger.memory import MemoryBackend
from ledger.status import Stage
from ledger.task import Task
from tests.fakes.clock import FakeClock
from tests.fakes.records import AT, batch_record, task_record

BATCHES = 500


class House:
    """Batches of one row each, in a ledger that counts how often their records are asked for."""

    def __init__(self) -> None:
        self.ledger = Ledger(MemoryBackend())
        self.ready = ReadyRows(self.ledger, FakeClock())
        self.asked: Counter[str] = Counter()

    async def open(self, **batch: object) -> "House":
        await self.ledger.open()
        for number in range(1, BATCHES + 1):
            await self.ledger.commit(_batch(number, **batch), _row(number), op="batch.accepted")
        await self.ready.load()
        self.ledger.subscribe(self.ready.follow)
        return self

    def take(self) -> str | None:
        task = self.ready.take("a", None, 0, self._runs)
        return None if task is None else task.batch_id

    def _runs(self, batch_id: str) -> bool:
        self.asked[batch_id] += 1
        return self.ledger.batch(batch_id).status is BatchStatus.RUNNING


def _batch(number: int, **fields: object) -> Batch:
    return batch_record(f"job-{number:06}", **fields)


def _row(number: int) -> Task:
    batch_id = _batch(number).batch_id
    return task_record(number, batch_id=batch_id, row_id=f"{batch_id}:1")


async def test_finding_the_next_row_asks_no_batch_behind_it() -> None:
    house = await House().open()
    assert [house.take() for _ in range(3)] == ["job-000001", "job-000002", "job-000003"]
    assert set(house.asked) <= {"job-000001", "job-000002", "job-000003"}


async def test_batches_that_do_not_run_are_asked_once_until_something_of_them_changes() -> None:
    house = await House().open(status=BatchStatus.PAUSED)
    assert [house.take() for _ in range(3)] == [None, None, None]
    assert house.asked.total() == BATCHES
    resumed = house.ledger.batch("job-000400").changed(at=AT, status=BatchStatus.RUNNING)
    await house.ledger.commit(resumed, op="batch.resumed")
    house.asked.clear()
    assert house.take() == "job-000400"
    assert set(house.asked) == {"job-000400"}


async def test_a_ready_row_with_a_batch_of_its_own_costs_less_than_280_bytes_of_memory() -> None:
    ledger, count = Ledger(MemoryBackend()), 5_500  # with so many, dicts have just grown
    await ledger.open()
    rows = [(_batch(number), _row(number)) for number in range(count)]
    await ledger.commit(*(record for row in rows for record in row), op="batch.accepted")
    del rows
    ready = ReadyRows(ledger, FakeClock(), choice_rows=count)
    tracemalloc.start()
    try:
        await ready.load()
        assert ready.take("a", None, 0, lambda _: True) is not None
        ledger.index._state.tasks._at_hand.clear()
        gc.collect()
        held_bytes, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held_bytes / count < 280


async def test_a_row_that_leaves_hands_its_place_to_the_next_of_its_batch() -> None:
    house = House()
    await house.ledger.open()
    rows = [task_record(number) for number in range(1, 4)]
    await house.ledger.commit(batch_record(), *rows, op="batch.accepted")
    await house.ready.load()
    house.ledger.subscribe(house.ready.follow)
    for gone in rows[:2]:
        cancelled = gone.moved(Stage.CANCELLED, at=AT)
        await house.ledger.commit(cancelled, op="task.cancelled")
    assert house.ready.take("a", None, 0, lambda _: True) == rows[2]
    assert house.ready.batch_ids() == []


@pytest.fixture
async def client() -> AsyncIterator[ComfyClient]:
    client = ComfyClient("a", "http://127.0.0.1:9", clock=FakeClock())
    yield client
    await client.close()


@pytest.mark.parametrize("held", [None, "server_unreachable"])
async def test_a_review_writes_of_batches_with_something_to_say_only(
    client: ComfyClient, held: str | None
) -> None:
    house = await House().open(held=held)
    server = ServerState(Server(name="a", url=""), client, house.ledger)
    server.health = Health(version="0.3.64", usable=True)
    before = house.ledger.last_seq
    holding = Holding(house.ledger, house.ready, [server], FakeClock())
    await holding.load()
    await holding.review()
    assert house.ledger.last_seq - before == (BATCHES if held else 0)
    assert {batch.held for batch in house.ledger.batches()} == {None}


async def test_a_server_that_was_not_asked_yet_holds_no_batch(client: ComfyClient) -> None:
    house = await House().open()
    server = ServerState(Server(name="a", url=""), client, house.ledger)
    holding = Holding(house.ledger, house.ready, [server], FakeClock())
    await holding.review()
    assert {batch.held for batch in house.ledger.batches()} == {None}
    server.asked = True
    await holding.review()
    assert {batch.held for batch in house.ledger.batches()} == {"server_unreachable"}
