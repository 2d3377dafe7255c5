"""A start with 10,000 open tasks over four servers: half in their queues, half unknown there."""

import asyncio
import contextlib
import json
import time
import uuid
from collections.abc import Mapping
from pathlib import Path

import aiohttp

from ledger.direct import DirectLedger
from ledger.jsondir.reader import read_state
from ledger.status import Stage
from ledger.task import Task
from tests.bench.benchmark import Benchmark, Size, Target
from tests.bench.installation import running, simulator
from tests.fakes.records import batch_record, task_record
from tests.fakes.world import SMALL_GRAPH, small_world

SERVERS = 4
POSTED_TOGETHER = 32


def _measure(folder: Path, size: Size) -> Mapping[str, float]:
    count = size.of(10_000, 40)
    with contextlib.ExitStack() as stack:
        urls = [
            stack.enter_context(simulator(folder / f"sim-{n}", seconds_per_job=10_000))
            for n in range(SERVERS)
        ]
        world = small_world(folder / "world", *urls)
        tasks = [_task(number) for number in range(1, count + 1)]
        asyncio.run(_post(urls, [task for task in tasks if _is_known(task)]))
        world.state.mkdir(exist_ok=True)
        with DirectLedger(world.ledger) as ledger:
            ledger.commit(batch_record(), *tasks, op="batch.accepted", actor="bench")
        began = time.monotonic()
        with running(world) as daemon:
            seconds = time.monotonic() - began
            peak_mb = daemon.peak_mb
        log = (world.folder / "daemon.log").read_text("utf-8")
        begun = began_empty(folder, urls)
    told = [line for line in log.splitlines() if '"recovery.progress"' in line]
    assert len(told) >= SERVERS, log[-2000:]
    stages = {task.task_id: task.stage for task in read_state(world.ledger).tasks.values()}
    lost = [t.task_id for t in tasks if _is_known(t) and stages[t.task_id] not in _INSIDE]
    assert not lost, lost[:5]
    return {
        "from start to open doors, s": seconds,
        "of it without open tasks, s": begun[0],
        "peak memory, MB": peak_mb,
        "of it without open tasks, MB": begun[1],
    }


_INSIDE = (Stage.QUEUED, Stage.RUNNING)


def began_empty(folder: Path, urls: list[str]) -> tuple[float, float]:
    """Return how long the same start takes, and its memory, when nothing is open."""
    world = small_world(folder / "empty", *urls)
    began = time.monotonic()
    with running(world) as daemon:
        return time.monotonic() - began, daemon.peak_mb


def _task(number: int) -> Task:
    return task_record(
        number,
        Stage.QUEUED,
        workflow_type="小图",
        server=f"gpu-{number % SERVERS}",
        attempt=1,
        comfyui_task_id=str(uuid.UUID(int=number)),
    )


def _is_known(task: Task) -> bool:
    return uuid.UUID(task.comfyui_task_id or "").int // SERVERS % 2 == 0


async def _post(urls: list[str], tasks: list[Task]) -> None:
    """Put the prompts of *tasks* into the queues of their servers."""
    waiting = iter(tasks)

    async def post(session: aiohttp.ClientSession) -> None:
        for task in waiting:
            url = urls[int((task.server or "-0").rpartition("-")[2])]
            extra = {"rowkeeper": {"task_id": task.task_id, "attempt": 1}}
            body = {"prompt": json.loads(SMALL_GRAPH), "prompt_id": task.comfyui_task_id}
            body |= {"client_id": "bench", "extra_data": extra}
            async with session.post(f"{url}/prompt", json=body) as answer:
                assert answer.status == 200, await answer.text()

    async with aiohttp.ClientSession() as session:
        await asyncio.gather(*(post(session) for _ in range(POSTED_TOGETHER)))


BENCHMARKS = (
    Benchmark(
        name="recovery",
        what="start of the daemon with 10,000 open tasks over four servers",
        measure=_measure,
        targets=(Target(figure="from start to open doors, s", at_most=15),),
        runs=3,
    ),
)
