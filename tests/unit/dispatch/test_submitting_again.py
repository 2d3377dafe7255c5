"""A prompt that is posted once more, since nobody knew the first one: never two that wait."""

import asyncio
import uuid
from pathlib import Path

import msgspec

from config.settings import Server, Workflow
from daemon.clock import SystemClock
from daemon.comfy.client import ComfyClient
from daemon.comfy.server import State
from daemon.comfy.simulator import Simulator
from daemon.dispatch.pictures import TaskFiles
from daemon.dispatch.servers import ServerState
from daemon.dispatch.submission import Submission
from daemon.dispatch.workflow import Template, graph_sha256
from daemon.settle.settlement import Settlement, ticket_of
from ledger.ledger import Ledger
from ledger.memory import MemoryBackend
from ledger.status import Stage
from tests.fakes.comfy_user import plain_graph
from tests.fakes.records import batch_record, task_record
from tests.fakes.world import SMALL_GRAPH

TYPE = "小图"


async def test_of_a_prompt_that_is_seen_while_it_is_posted_again_no_second_copy_stays(
    tmp_path: Path,
) -> None:
    workflow = Workflow(template=Path("small.json"))
    template = Template.from_bytes(TYPE, workflow, SMALL_GRAPH.encode())
    task = task_record(
        1,
        Stage.SUBMITTING,
        workflow_type=TYPE,
        server="a",
        attempt=1,
        comfyui_task_id=str(uuid.uuid4()),
    )
    graph = template.fill({}, output_prefix=task.output_prefix)
    task = msgspec.structs.replace(task, graph_sha256=graph_sha256(graph))
    ledger, clock = Ledger(MemoryBackend()), SystemClock()
    await ledger.open()
    async with Simulator(tmp_path, seconds_per_job=30) as simulator:
        client = ComfyClient("a", simulator.url, clock=clock)
        other = ticket_of(task_record(2, comfyui_task_id=str(uuid.uuid4())))
        await client.submit(plain_graph("other/9", color=1), other, "ours")
        while (await client.look_up([other]))[other.prompt_id].state is not State.RUNNING:
            await asyncio.sleep(0.01)
        await ledger.commit(batch_record(), task, op="batch.accepted")
        await client.submit(graph, ticket_of(task), "ours")  # it was only late
        settings = Server(name="a", url=simulator.url)
        files = TaskFiles(input_path=Path, output_path=Path)
        submission = Submission(ledger, clock, {TYPE: workflow}, {TYPE: template}, files)
        simulator.faults.next("slow_accept", seconds=1.0)
        again = asyncio.ensure_future(
            submission.submit_again(task, ServerState(settings, client, ledger))
        )
        while not ledger.task(task.task_id).possible_duplicate:
            await asyncio.sleep(0.01)
        settlement = Settlement(ledger, clock, {TYPE: workflow}, lambda _: ())
        await settlement.settle(client, settings, [ledger.task(task.task_id)])
        await again
        assert ledger.task(task.task_id).stage is Stage.QUEUED
        assert (await client.look_up([ticket_of(task)]))[ticket_of(task).prompt_id].copies == 1
        await client.close()
    await ledger.close()
