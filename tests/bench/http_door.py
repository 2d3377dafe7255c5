"""Changes through the daemon's HTTP door, 64 clients in flight, beside an empty handler's rate.

The change is the cancelling of a waiting task: checked, written to the journal, synced, shown,
answered. The peer is a bare aiohttp handler that answers nothing, on asyncio's own event loop, as
aiohttp's servers come, and beside it on the daemon's; the floor is one that does the promised work
and nothing else (``http_peers``). All run in a process of their own, as the daemon does, and the
same client asks them in turns, over connections that are open before it begins. A hundredth of
the changes is as many as are in flight, so the p99 is the slowest moment of the run: the floor's
stands beside it, for a slow sync of the disk makes all of them wait.
"""

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from statistics import median

from ledger.direct import DirectLedger
from ledger.jsondir.reader import read_state
from ledger.status import Stage
from tests.bench.benchmark import Benchmark, Size, Target
from tests.bench.http_peers import TOKEN
from tests.bench.installation import running
from tests.bench.own_process import own_process
from tests.fakes.records import batch_record, task_record
from tests.fakes.world import World

IN_FLIGHT = 64
ROUNDS = 3
_CLIENT = """
import asyncio, json, sys, time
import aiohttp
url, token, first, count, in_flight = sys.argv[1], sys.argv[2], *map(int, sys.argv[3:])
async def main():
    numbers = iter(range(first, first + count))
    waits = []
    async def connect(session):
        async with session.get(f"{url}/healthz") as answer:
            await answer.read()
    async def one(session):
        for n in numbers:
            began = time.perf_counter()
            async with session.post(f"{url}/api/tasks/img_20261121_{n:06}/cancel") as answer:
                await answer.read()
                assert answer.status == 200, answer.status
            waits.append(time.perf_counter() - began)
    connector = aiohttp.TCPConnector(limit=0)
    headers = {"Authorization": f"Bearer {token}"}
    async with aiohttp.ClientSession(connector=connector, headers=headers) as session:
        await asyncio.gather(*(connect(session) for _ in range(in_flight)))
        began = time.perf_counter()
        await asyncio.gather(*(one(session) for _ in range(in_flight)))
        seconds = time.perf_counter() - began
    waits.sort()
    print(json.dumps([count / seconds, waits[len(waits) * 99 // 100]]))
asyncio.run(main())
"""


def _measure(folder: Path, size: Size) -> Mapping[str, float]:
    count = size.of(6_000, 100)
    world = World(folder / "world", "http://127.0.0.1:9")  # nobody there: nothing moves by itself
    world.state.mkdir()
    with DirectLedger(world.ledger) as ledger:
        tasks = [task_record(n) for n in range(1, count * ROUNDS + 1)]
        ledger.commit(batch_record(), *tasks, op="batch.accepted", actor="bench")
    peers = [
        own_process("tests.bench.http_peers", loop, str(folder), str(count * ROUNDS))
        for loop in ("asyncio", "uvloop")
    ]
    empty, likewise, promised, ours = [], [], [], []
    with peers[0] as stock, peers[1] as same, running(world) as daemon:
        for turn in range(ROUNDS):
            first = 1 + turn * count
            empty.append(_ask(f"{stock}/empty", TOKEN, first, count))
            likewise.append(_ask(f"{same}/empty", TOKEN, first, count))
            promised.append(_ask(f"{same}/promised", TOKEN, first, count))
            ours.append(_ask(daemon.url, daemon.token, first, count))
    state = read_state(world.ledger)
    cancelled = sum(task.stage is Stage.CANCELLED for task in state.tasks.values())
    assert cancelled == count * ROUNDS, cancelled
    empty_rate, _ = map(median, zip(*empty, strict=True))
    likewise_rate, _ = map(median, zip(*likewise, strict=True))
    floor, floor_tail = map(median, zip(*promised, strict=True))
    rate, tail = map(median, zip(*ours, strict=True))
    return {
        "empty handler, requests/s": empty_rate,
        "empty handler on uvloop, requests/s": likewise_rate,
        "promised work alone, changes/s": floor,
        "changes/s": rate,
        "share of the empty handler's rate": rate / empty_rate,
        "share of the empty handler's rate on uvloop": rate / likewise_rate,
        "promised work alone, share of the empty handler's rate": floor / empty_rate,
        "share of the promised work alone": rate / floor,
        "p99 of the promised work alone, ms": 1000 * floor_tail,
        "p99 of a change, ms": 1000 * tail,
    }


def _ask(url: str, token: str, first: int, count: int) -> tuple[float, float]:
    """Return how many were answered a second, and how long the slowest hundredth took at least."""
    numbers = [str(number) for number in (first, count, IN_FLIGHT)]
    command = [sys.executable, "-c", _CLIENT, url, token, *numbers]
    said = subprocess.run(command, capture_output=True, check=True, text=True).stdout
    rate, tail = json.loads(said)
    return rate, tail


BENCHMARKS = (
    Benchmark(
        name="http-changes",
        what="cancelling waiting tasks through the HTTP door, 64 in flight, each one durable",
        measure=_measure,
        targets=(Target(figure="share of the empty handler's rate", at_least=0.5),),
    ),
)
