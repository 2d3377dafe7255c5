"""What the first look of a start settles is counted, although nobody can ask for it yet."""

import asyncio
import uuid
from pathlib import Path

from daemon.clock import SystemClock
from daemon.comfy.client import ComfyClient
from daemon.comfy.server import State, Ticket
from daemon.comfy.simulator import Simulator
from ledger.jsondir.store import JsonDirBackend
from ledger.ledger import Ledger
from ledger.status import Stage
from tests.fakes.comfy_user import plain_graph
from tests.fakes.door import open_door
from tests.fakes.records import batch_record, task_record
from tests.fakes.world import World


async def leave_a_task_that_fails(world: World, simulator: Simulator) -> None:
    """Leave the ledger as a killed daemon does whose prompt fails behind it."""
    ledger = Ledger(JsonDirBackend(world.ledger))
    await ledger.open()
    task = task_record(
        1, Stage.QUEUED, server="gpu-0", comfyui_task_id=str(uuid.uuid4()), attempt=1
    )
    await ledger.commit(batch_record(), task, op="batch.accepted")
    await ledger.close()
    simulator.faults.next("execution_error")
    clock = SystemClock()
    client = ComfyClient("gpu-0", simulator.url, clock=clock)
    ticket = Ticket(prompt_id=task.comfyui_task_id or "", task_id=task.task_id, attempt=1)
    await client.submit(plain_graph(task.output_prefix + "/9"), ticket, "ours")
    async with asyncio.timeout(10):
        while (await client.look_up([ticket]))[ticket.prompt_id].state is not State.FAILED:
            await clock.pause(0.01)
    await client.close()


async def test_a_failure_that_the_first_look_of_a_start_finds_is_counted(tmp_path: Path) -> None:
    async with Simulator(tmp_path / "comfyui") as simulator:
        world = World(tmp_path / "world", simulator.url, max_auto_retries=0)
        await leave_a_task_that_fails(world, simulator)
        async with open_door(world) as door:
            told = (await door.get("/metrics")).body.decode()
    assert 'rowkeeper_task_failures_total{kind="execution_error"} 1.0' in told


async def test_run_once_says_that_not_all_is_done_when_its_first_look_finds_a_failure(
    tmp_path: Path,
) -> None:
    async with Simulator(tmp_path / "comfyui") as simulator:
        world = World(tmp_path / "world", simulator.url, max_auto_retries=0)
        await leave_a_task_that_fails(world, simulator)
        assert await world.run_here() == 1
