"""A ledger in a folder beside one simulated server, with everything that recovers tasks."""

import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest

from config.settings import Server, Workflow
from daemon.clock import SystemClock
from daemon.comfy.client import ComfyClient
from daemon.comfy.server import State, Ticket
from daemon.comfy.simulator import Simulator
from daemon.settle.settlement import Settlement
from daemon.upkeep.backup import LedgerBackups
from daemon.upkeep.stuck import StuckTasks
from daemon.words import Words
from ledger.jsondir.backup import copy_ledger
from ledger.jsondir.store import JsonDirBackend
from ledger.ledger import Ledger
from ledger.status import Stage
from ledger.task import Task
from ledger.timestamps import to_timestamp
from tests.fakes.comfy_user import plain_graph
from tests.fakes.records import batch_record, task_record

WORKFLOWS = {"图片合成": Workflow(template=Path("x.json"), max_runtime_minutes=30)}


def minutes_ago(minutes: float) -> str:
    return to_timestamp(datetime.now(UTC) - timedelta(minutes=minutes))


class House:
    """Puts tasks into the ledger and prompts into the server, in any combination."""

    def __init__(self, folder: Path, simulator: Simulator) -> None:
        self.simulator = simulator
        self.path = folder / "ledger"
        self.ledger = Ledger(JsonDirBackend(self.path))
        self.clock = SystemClock()
        self.client = ComfyClient("gpu-a", simulator.url, clock=self.clock)
        self.servers = {
            "gpu-a": (
                self.client,
                Server(name="gpu-a", url=simulator.url, settle_seconds=0.1, poll_seconds=0.1),
            )
        }
        self.backups = LedgerBackups(folder / "backups", partial(copy_ledger, self.path))
        self.settlement = Settlement(self.ledger, self.clock, WORKFLOWS, lambda _: ())
        self.number = 0

    def stuck(self, **more: object) -> StuckTasks:
        values: dict[str, object] = {
            "workflows": WORKFLOWS,
            "default_minutes": 30.0,
            "followed": False,
        }
        return StuckTasks(
            self.ledger,
            self.servers,
            self.settlement,
            self.backups,
            self.clock,
            **(values | more),
        )

    async def task(self, stage: Stage = Stage.RUNNING, age: float = 5.0, **fields: object) -> Task:
        """Record a task as it stood *age* minutes ago; no server hears of it."""
        self.number += 1
        at = minutes_ago(age)
        values: dict[str, object] = {
            "server": "gpu-a",
            "comfyui_task_id": str(uuid.uuid4()),
            "attempt": 1,
            "created_at": at,
            "updated_at": at,
            "started_at": at if stage is Stage.RUNNING else None,
        }
        task = task_record(self.number, stage, **(values | fields))
        await self.ledger.commit(task, op="task.accepted")
        return task

    async def inside(self, task: Task, color: int = 0) -> Ticket:
        """Put the task's prompt into the server."""
        ticket = Ticket(
            prompt_id=task.comfyui_task_id or "", task_id=task.task_id, attempt=task.attempt
        )
        graph = plain_graph(task.output_prefix + "/9", color=color or self.number)
        await self.client.submit(graph, ticket, "ours")
        return ticket

    async def until(self, ticket: Ticket, *states: State) -> None:
        while (await self.client.look_up([ticket]))[ticket.prompt_id].state not in states:
            await self.clock.pause(0.01)

    def bytes(self) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in self.path.iterdir() if path.is_file()}


@pytest.fixture
def words() -> Words:
    return Words("zh")


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with Simulator(tmp_path / "comfyui") as simulator:
        made = House(tmp_path, simulator)
        await made.ledger.open()
        await made.ledger.commit(batch_record(), op="batch.accepted")
        yield made
        await made.client.close()
        await made.ledger.close()
