"""Server-sent events of the real daemon: a snapshot, every change, and nothing missed."""

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from yarl import URL

from daemon.comfy.simulator import Simulator
from daemon.web.feed import QUEUED_BYTES, TASKS_TOLD_ONE_BY_ONE
from ledger.batch import BatchStatus
from ledger.status import Stage
from tests.fakes.door import Door, open_door
from tests.fakes.records import batch_record, task_record
from tests.fakes.world import TWO_ROWS, World

LISTENERS = "rowkeeper_event_listeners"


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "world", "http://127.0.0.1:9")


@pytest.fixture
async def door(world: World) -> AsyncIterator[Door]:
    async with open_door(world) as door:
        await door.ledger.commit(
            batch_record(status=BatchStatus.PAUSED), task_record(1), op="batch.accepted"
        )
        yield door


class Event:
    def __init__(self, lines: list[str]) -> None:
        fields = dict(line.split(": ", 1) for line in lines)
        self.id = fields["id"]
        self.kind = fields["event"]
        self.data: Any = json.loads(fields["data"])


async def events(stream: Any) -> AsyncIterator[Event]:
    lines: list[str] = []
    async for raw in stream:
        line = raw.decode().rstrip("\n")
        if line:
            lines.append(line)
            continue
        if any(line.startswith("event: ") for line in lines):
            yield Event([line for line in lines if not line.startswith(":")])
        lines = []


@contextlib.asynccontextmanager
async def listening(door: Door, last: str | None = None) -> AsyncIterator[AsyncIterator[Event]]:
    headers = {"Last-Event-ID": last} if last else {}
    async with (
        asyncio.timeout(20),
        door.session.get(door.url + "/api/events", headers=headers) as r,
    ):
        assert r.status == 200
        assert r.headers["Content-Type"] == "text/event-stream"
        yield events(r.content)


async def first(stream: AsyncIterator[Event], kind: str) -> Event:
    async for event in stream:
        if event.kind == kind:
            return event
    raise AssertionError(f"no {kind}")


async def test_a_listener_gets_a_snapshot_and_then_each_change(door: Door) -> None:
    async with listening(door) as stream:
        snapshot = await first(stream, "snapshot")
        assert [batch["batch_id"] for batch in snapshot.data["batches"]] == ["spring-abc234"]
        assert snapshot.data["servers"][0]["name"] == "gpu-0"
        await door.post("/api/tasks/img_20261121_000001/cancel")
        task = await first(stream, "task")
        assert (task.data["task_id"], task.data["stage"]) == ("img_20261121_000001", "cancelled")
        batch = await first(stream, "batch")
        assert batch.data["statistics"]["cancelled"] == 1


async def test_one_who_comes_back_gets_exactly_what_was_missed(door: Door) -> None:
    async with listening(door) as stream:
        seen = (await first(stream, "snapshot")).id
    for number in (2, 3, 4):
        await door.ledger.commit(task_record(number), op="test")
    async with listening(door, seen) as stream:
        missed = [await first(stream, "task") for _ in range(3)]
    assert [event.data["row_number"] for event in missed] == [2, 3, 4]
    async with listening(door, missed[1].id) as stream:
        assert (await anext(stream)).data["row_number"] == 4


async def test_one_whose_place_is_forgotten_gets_a_snapshot(door: Door) -> None:
    for last in ("nonsense", "00000000-1", "-", "1-" + "9" * 40):
        async with listening(door, last) as stream:
            assert (await anext(stream)).kind == "snapshot", last


async def test_an_id_of_the_daemon_before_a_restart_brings_a_snapshot(world: World) -> None:
    async with open_door(world) as door, listening(door) as stream:
        last = (await first(stream, "snapshot")).id
    async with open_door(world) as door, listening(door, last) as stream:
        assert (await anext(stream)).kind == "snapshot"


async def test_changes_of_one_task_in_one_tick_are_told_as_one(door: Door) -> None:
    async with listening(door) as stream:
        await first(stream, "snapshot")
        task = task_record(2)
        await door.ledger.commit(task, op="test")
        for _ in range(20):
            task = task.changed(at=task.updated_at)
            await door.ledger.commit(task, op="test")
        versions = [(await first(stream, "task")).data.get("version", 1)]
        while versions[-1] < task.version:
            versions.append((await first(stream, "task")).data["version"])
        assert len(versions) <= 3  # the commits may span two ticks


async def test_a_large_drop_is_told_as_a_whole(door: Door) -> None:
    async with listening(door) as stream:
        await first(stream, "snapshot")
        records = [task_record(n) for n in range(2, 3 + TASKS_TOLD_ONE_BY_ONE)]
        await door.ledger.commit(*records, op="test")
        told = await first(stream, "tasks")
        assert told.data == {"batch_ids": ["spring-abc234"], "count": len(records)}


async def test_one_who_reads_slowly_is_given_a_snapshot_instead_of_all_it_missed(
    door: Door,
) -> None:
    url = URL(door.url)
    reader, writer = await asyncio.open_connection(url.host, url.port)
    writer.write(b"GET /api/events HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n")
    await reader.readuntil(b"\r\n\r\n")
    stream = events(reader)
    await first(stream, "snapshot")
    for begin in range(2, 302, 50):  # six times what the queue holds, and so the socket's buffers
        records = [task_record(n, product_name="x" * 20_000) for n in range(begin, begin + 50)]
        await door.ledger.commit(*records, op="test")
        await asyncio.sleep(0.3)
    assert 50 * 20_000 < QUEUED_BYTES < 100 * 20_000
    again = await asyncio.wait_for(first(stream, "snapshot"), 10)
    assert again.data["batches"][0]["statistics"]["pending"] == 301
    writer.close()


async def test_those_who_have_gone_are_not_counted_any_more(door: Door) -> None:
    async with contextlib.AsyncExitStack() as stack:
        for _ in range(20):
            stream = await stack.enter_async_context(listening(door))
            await first(stream, "snapshot")
        assert f"{LISTENERS} 20" in (await door.get("/metrics")).body.decode()
    async with asyncio.timeout(5):  # long before the next word to a silent stream is due
        while f"{LISTENERS} 0" not in (await door.get("/metrics")).body.decode():
            await asyncio.sleep(0.05)


async def test_one_who_reads_nothing_is_cut_off_and_holds_up_nobody(door: Door) -> None:
    url = URL(door.url)
    deaf = socket.create_connection((url.host, url.port))
    deaf.sendall(b"GET /api/events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
    async with listening(door) as stream:
        await first(stream, "snapshot")
        before, number = asyncio.get_running_loop().time(), 1
        while f"{LISTENERS} 2" in (await door.get("/metrics")).body.decode():
            number += 1
            named = "x" * 200_000  # fills the kernel's buffers within a second
            await door.ledger.commit(task_record(number, product_name=named), op="test")
            await asyncio.sleep(0.02)
            assert (await first(stream, "task")).data["row_number"] <= number
        assert asyncio.get_running_loop().time() - before < 10
    deaf.close()


async def test_listeners_do_not_hold_up_the_end_of_the_daemon(world: World) -> None:
    async with contextlib.AsyncExitStack() as stack:
        async with open_door(world) as door:
            stream = await stack.enter_async_context(listening(door))
            await first(stream, "snapshot")
            before = asyncio.get_running_loop().time()
        assert asyncio.get_running_loop().time() - before < 2


async def test_the_progress_of_a_running_row_is_told(tmp_path: Path) -> None:
    async with Simulator(tmp_path / "comfyui", seconds_per_job=2.5) as simulator:
        world = World(tmp_path / "world", simulator.url)
        async with open_door(world) as door, listening(door) as stream:
            world.drop("spring", TWO_ROWS[:1])
            told = await first(stream, "progress")
            (how,) = told.data.values()
            assert set(how) == {"node", "value", "maximum"}
            task_id = next(iter(told.data))
            stage = (await door.get(f"/api/tasks/{task_id}")).json["stage"]
            assert stage in (Stage.QUEUED, Stage.RUNNING)  # the ledger waits for the next poll
            (shown,) = (await door.get("/api/status")).json["in_flight"]
            assert (shown["task_id"], set(shown["progress"])) == (task_id, set(how))
