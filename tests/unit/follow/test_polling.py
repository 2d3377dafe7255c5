"""Polling is shared: what it costs a server does not grow with the tasks inside."""

import asyncio
import uuid
from pathlib import Path

import pytest

from config.settings import Server, Workflow
from daemon.comfy.client import ComfyClient
from daemon.follow.follower import Follower
from daemon.settle.settlement import Settlement
from ledger.ledger import Ledger
from ledger.memory import MemoryBackend
from ledger.status import Stage
from ledger.task import Task
from tests.fakes.clock import FakeClock
from tests.fakes.records import batch_record, task_record
from tests.fakes.replay import Request, WireServer, json_answer, wire_server

POLLS = 4


def inside(number: int) -> Task:
    prompt_id = str(uuid.uuid4())
    return task_record(number, Stage.QUEUED, server="gpu-a", comfyui_task_id=prompt_id, attempt=1)


@pytest.mark.parametrize("count", [1, 100])
async def test_a_server_is_asked_for_its_queue_once_a_poll_whatever_the_number_of_tasks(
    count: int,
) -> None:
    tasks = [inside(number) for number in range(1, count + 1)]
    entries = [[n, task.comfyui_task_id, {}, {}, ["1"]] for n, task in enumerate(tasks)]
    clock, stop, ledger = FakeClock(), asyncio.Event(), Ledger(MemoryBackend())
    await ledger.open()
    await ledger.commit(batch_record(), *tasks, op="rows.accepted")

    async def say(_: Request) -> bytes:
        return json_answer({"queue_running": [], "queue_pending": entries})

    async with wire_server(say) as server:
        client = ComfyClient("gpu-a", server.url, clock=clock)
        settings = Server(name="gpu-a", url=server.url, poll_seconds=2.0)
        settlement = Settlement(
            ledger, clock, {"图片合成": Workflow(template=Path("none.json"))}, lambda _: ()
        )
        follower = Follower(client, settings, ledger, settlement, clock)
        following = asyncio.create_task(follower.run(stop))
        for poll in range(1, POLLS + 1):
            await answered(server, poll)
            clock.advance(2.0)
        await answered(server, POLLS + 1)
        stop.set()
        await following
        await client.close()
    assert [request.path for request in server.requests] == ["/queue"] * (POLLS + 1)


async def answered(server: WireServer, requests: int) -> None:
    async with asyncio.timeout(10):
        while len(server.requests) < requests:
            await asyncio.sleep(0.005)
    await asyncio.sleep(0.05)  # for a request too many to show itself
