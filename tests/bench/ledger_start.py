"""Opening a large ledger, and what it costs in memory from then on."""

import gc
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import orjson
import uvloop

from ledger.jsondir.store import JsonDirBackend
from ledger.ledger import Ledger
from tests.bench.benchmark import Benchmark, Size, Target
from tests.bench.memory import collected_objects, resident_bytes
from tests.fakes.loop_lag import LoopLag

_MAKE = """
import sys
from pathlib import Path
from tests.bench.ledger_records import add_archive, add_journal, write_ledger
folder, tasks, waiting, lines, archived = Path(sys.argv[1]), *map(int, sys.argv[2:])
write_ledger(folder, tasks, waiting_tasks=waiting)
add_journal(folder, tasks, lines)
add_archive(folder, archived)
"""


def make_aside(
    folder: Path, tasks: int, *, waiting: int = 0, lines: int = 0, archived: int = 0
) -> Path:
    """Make a ledger in a process of its own, which takes the memory that needs with it."""
    numbers = [str(number) for number in (tasks, waiting, lines, archived)]
    root = Path(__file__).parents[2]
    subprocess.run([sys.executable, "-c", _MAKE, str(folder), *numbers], cwd=root, check=True)
    return folder


async def opened(folder: Path) -> Ledger:
    """Return the ledger in the folder, open, with all its journal in the snapshot."""
    ledger = Ledger(JsonDirBackend(folder))
    await ledger.open()
    await ledger.compact()
    return ledger


def _loads_seconds(folder: Path) -> float:
    """Return how long orjson needs for the same bytes, none of which has to be read.

    With the garbage collector paused, or it would need five times as long.
    """
    journals = [line for path in folder.glob("*.jsonl") for line in path.read_bytes().splitlines()]
    documents = [(folder / "ledger.json").read_bytes(), *journals]
    gc.disable()
    began = time.perf_counter()
    loaded = [orjson.loads(document) for document in documents]
    seconds = time.perf_counter() - began
    gc.enable()
    del loaded
    return seconds


async def _start(folder: Path) -> dict[str, float]:
    ledger = Ledger(JsonDirBackend(folder))
    async with LoopLag() as opening:
        began = time.perf_counter()
        await ledger.open()
        seconds = time.perf_counter() - began
    began = time.perf_counter()
    gc.collect()
    collection = time.perf_counter() - began
    await ledger.close()
    return {
        "open, seconds": seconds,
        "longest loop stall while opening, ms": opening.worst_seconds * 1000,
        "full garbage collection afterwards, ms": collection * 1000,
    }


def start(folder: Path, size: Size) -> Mapping[str, float]:
    """Snapshot and journal to an open ledger, beside orjson over the same bytes."""
    tasks, lines = size.of(100_000, 500), size.of(50_000, 250)
    made = make_aside(folder / "ledger", tasks, lines=lines)
    loads = _loads_seconds(made)
    figures = uvloop.run(_start(made))
    return {
        "orjson.loads, seconds": loads,
        "open / orjson.loads": figures["open, seconds"] / loads,
        **figures,
    }


async def _bytes_and_objects(empty: Path, folder: Path) -> tuple[float, float]:
    first = await opened(empty)  # the code is loaded
    await first.close()
    memory, objects = resident_bytes(), collected_objects()
    ledger = await opened(folder)
    grown = resident_bytes() - memory, collected_objects() - objects
    await ledger.close()
    return grown


def _child(empty: Path, folder: Path) -> tuple[float, float]:
    """Measure in a process of its own: memory that another ledger left would be taken again."""
    command = [sys.executable, "-m", "tests.bench.ledger_start", str(empty), str(folder)]
    root = Path(__file__).parents[2]
    said = subprocess.run(command, cwd=root, check=True, capture_output=True, text=True)
    grown, objects = map(float, said.stdout.split())
    return grown, objects


def memory(folder: Path, size: Size) -> Mapping[str, float]:
    """What a task costs while the ledger is open, by what became of it."""
    tasks, waiting = size.of(100_000, 500), size.of(20_000, 200)
    empty = make_aside(folder / "empty", 1)
    finished = _child(empty, make_aside(folder / "finished", tasks))
    open_ = _child(empty, make_aside(folder / "open", waiting, waiting=waiting))
    few = _child(empty, make_aside(folder / "few", 1, archived=tasks // 10))
    archived = _child(empty, make_aside(folder / "archived", 1, archived=tasks))
    return {
        "bytes per finished task": max(0, finished[0]) / tasks,
        "collected objects per finished task": max(0, finished[1]) / tasks,
        "bytes per open task": max(0, open_[0]) / waiting,
        "collected objects per open task": max(0, open_[1]) / waiting,
        "bytes per archived task": max(0, archived[0] - few[0]) / (tasks - tasks // 10),
        "of all archived tasks, however many, MB": max(0, archived[0]) / 1e6,
    }


BENCHMARKS = (
    Benchmark(
        name="ledger-start",
        what="from 100,000 tasks and 50,000 journal lines to an open ledger",
        measure=start,
        targets=(
            Target(figure="open / orjson.loads", at_most=1.5),
            Target(figure="longest loop stall while opening, ms", at_most=50),
            Target(figure="full garbage collection afterwards, ms", at_most=50),
        ),
    ),
    Benchmark(
        name="ledger-memory",
        what="resident memory per task",
        measure=memory,
        targets=(
            Target(figure="bytes per finished task", at_most=400),
            Target(figure="collected objects per finished task", at_most=2.2),
            Target(figure="bytes per open task", at_most=4096),
            Target(figure="collected objects per open task", at_most=2.2),
            Target(figure="bytes per archived task", at_most=1),
        ),
    ),
)

if __name__ == "__main__":
    print(*uvloop.run(_bytes_and_objects(Path(sys.argv[1]), Path(sys.argv[2]))))  # noqa: T201
