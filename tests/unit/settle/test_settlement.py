"""What is told when a finished prompt is settled, by a real server."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from config.settings import Server, Workflow
from daemon.clock import SystemClock
from daemon.comfy.client import ComfyClient
from daemon.comfy.simulator import Simulator
from daemon.settle.results import ResultNode
from daemon.settle.settlement import Settlement, ticket_of
from ledger.ledger import Ledger
from ledger.memory import MemoryBackend
from ledger.status import Stage
from tests.fakes.records import AT, batch_record, task_record

FILES_MADE = 4


@pytest.fixture
async def simulator(tmp_path: Path) -> AsyncIterator[Simulator]:
    async with Simulator(tmp_path / "comfyui") as running:
        yield running


async def warned(simulator: Simulator, results: Sequence[ResultNode]) -> list[dict[str, object]]:
    """Run a prompt that makes four files, settle it, and return what was warned of."""
    clock, ledger = SystemClock(), Ledger(MemoryBackend())
    await ledger.open()
    sent = task_record().moved(
        Stage.SUBMITTING, at=AT, server="gpu-a", attempt=1, comfyui_task_id=str(uuid.uuid4())
    )
    await ledger.commit(batch_record(), task_record(), op="batch.accepted")
    await ledger.commit(sent, op="task.submitting")
    size = {"width": 8, "height": 8, "batch_size": FILES_MADE, "color": 0}
    save = {"images": ["10", 0], "filename_prefix": f"{sent.output_prefix}/40"}
    graph = {
        "10": {"class_type": "EmptyImage", "inputs": size},
        "40": {"class_type": "SaveImage", "inputs": save},
    }
    workflows = {sent.workflow_type: Workflow(template=Path("none.json"))}
    settlement = Settlement(ledger, clock, workflows, lambda _: results)
    client = ComfyClient("gpu-a", simulator.url, clock=clock)
    settings = Server(name="gpu-a", url=simulator.url)
    try:
        await client.submit(graph, ticket_of(sent), "c" * 32)
        with capture_logs() as logs:
            async with asyncio.timeout(10):
                while (task := ledger.task(sent.task_id)).stage is not Stage.COLLECTING:
                    await settlement.settle(client, settings, [task])
        assert len(task.outputs) == FILES_MADE
        return [entry for entry in logs if entry["log_level"] == "warning"]
    finally:
        await client.close()


def result(node_id: str, count: int) -> ResultNode:
    return ResultNode(node_id=node_id, class_type="SaveImage", title="", count=count)


@pytest.mark.parametrize(("node_id", "count", "found"), [("40", 3, 4), ("40", 5, 4), ("41", 1, 0)])
async def test_a_node_that_makes_another_number_of_files_than_the_settings_say_is_told(
    simulator, node_id, count, found
):
    told = await warned(simulator, [result(node_id, count)])
    assert [(each["event"], each["task"], each["node"]) for each in told] == [
        ("task.files_miscounted", task_record().task_id, node_id)
    ]
    assert (told[0]["expected"], told[0]["found"]) == (count, found)


async def test_nothing_is_told_when_the_count_is_right_or_the_workflow_changed(simulator):
    assert await warned(simulator, [result("40", FILES_MADE)]) == []
    assert await warned(simulator, []) == []
