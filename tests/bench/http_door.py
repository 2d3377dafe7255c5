"""Changes through the daemon's HTTP door, 64 clients in flight, beside an empty handler's rate.

The change is the cancelling of a waiting task: checked, written to the journal, synced, shown,
answered. The peer is a bare aiohttp handler that answers nothing, on asyncio's own event loop, as
aiohttp's servers come, and beside it on the daemon's; the floor is one that does the promised work
and nothing else (``http_peers``). All run in a process of their own, as the daemon does, and the
same client asks them in turns, over connections that are open before it begins. A hundredth of
the changes is as many as are in flight, so the p99 is the slowest moment of the run: the floor's
stands beside it, for a slow sync of the disk makes all of them wait.

The client computes longer over a request than an empty handler does, so the empty handler's rate is
what the client can ask. What each side computes is told, too: that depends on no client.
"""

import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from statistics import median

import msgspec

from ledger.direct import DirectLedger
from ledger.jsondir.reader import read_state
from ledger.status import Stage
from tests.bench.benchmark import Benchmark, Size, Target
from tests.bench.http_peers import TOKEN
from tests.bench.installation import processor_seconds, running
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
        began, computed = time.perf_counter(), time.process_time()
        await asyncio.gather(*(one(session) for _ in range(in_flight)))
        seconds, computed = time.perf_counter() - began, time.process_time() - computed
    waits.sort()
    told = {"rate": count / seconds, "tail_ms": 1e3 * waits[len(waits) * 99 // 100]}
    print(json.dumps(told | {"client_us": 1e6 * computed / count}))
asyncio.run(main())
"""


class Side(msgspec.Struct, frozen=True):
    """Who is asked."""

    url: str
    token: str
    pid: int


class Asked(msgspec.Struct, frozen=True):
    """What the client saw of one side, and what both computed for each request."""

    rate: float  # requests a second
    tail_ms: float  # how long the slowest hundredth took at least
    client_us: float
    server_us: float = 0.0


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
    with peers[0] as stock, peers[1] as same, running(world) as daemon:
        (stock_url, stock_pid), (same_url, same_pid) = stock.split(), same.split()
        sides = (
            Side(f"{stock_url}/empty", TOKEN, int(stock_pid)),
            Side(f"{same_url}/empty", TOKEN, int(same_pid)),
            Side(f"{same_url}/promised", TOKEN, int(same_pid)),
            Side(daemon.url, daemon.token, daemon.pid),
        )
        asked = [[_ask(each, 1 + turn * count, count) for each in sides] for turn in range(ROUNDS)]
    state = read_state(world.ledger)
    cancelled = sum(task.stage is Stage.CANCELLED for task in state.tasks.values())
    assert cancelled == count * ROUNDS, cancelled
    return _figures(*map(_medians, zip(*asked, strict=True)))


def _figures(empty: Asked, likewise: Asked, promised: Asked, ours: Asked) -> Mapping[str, float]:
    return {
        "empty handler, requests/s": empty.rate,
        "empty handler on uvloop, requests/s": likewise.rate,
        "promised work alone, changes/s": promised.rate,
        "changes/s": ours.rate,
        "share of the empty handler's rate": ours.rate / empty.rate,
        "share of the empty handler's rate on uvloop": ours.rate / likewise.rate,
        "promised work alone, share of the empty handler's rate": promised.rate / empty.rate,
        "share of the promised work alone": ours.rate / promised.rate,
        "p99 of the promised work alone, ms": promised.tail_ms,
        "p99 of a change, ms": ours.tail_ms,
        "processor time of the client, µs": empty.client_us,
        "processor time of an empty request, µs": empty.server_us,
        "processor time of an empty request on uvloop, µs": likewise.server_us,
        "processor time of the promised work alone, µs": promised.server_us,
        "processor time of a change, µs": ours.server_us,
    }


def _medians(asked: Iterable[Asked]) -> Asked:
    return Asked(*map(median, zip(*map(msgspec.structs.astuple, asked), strict=True)))


def _ask(side: Side, first: int, count: int) -> Asked:
    numbers = [str(number) for number in (first, count, IN_FLIGHT)]
    command = [sys.executable, "-c", _CLIENT, side.url, side.token, *numbers]
    computed = processor_seconds(side.pid)
    said = subprocess.run(command, capture_output=True, check=True).stdout
    server_us = 1e6 * (processor_seconds(side.pid) - computed) / count
    return msgspec.structs.replace(msgspec.json.decode(said, type=Asked), server_us=server_us)


BENCHMARKS = (
    Benchmark(
        name="http-changes",
        what="cancelling waiting tasks through the HTTP door, 64 in flight, each one durable",
        measure=_measure,
        targets=(Target(figure="share of the empty handler's rate", at_least=0.5),),
    ),
)
