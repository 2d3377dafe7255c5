"""What the daemon costs a row: its rate against a straight line of the same calls and appends."""

import asyncio
import urllib.request
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from random import Random
from statistics import mean
from typing import NamedTuple, TypeAlias

import orjson
import uvloop
from PIL import Image

from daemon import logs
from ledger.jsondir.reader import read_state
from ledger.timestamps import from_timestamp
from tests.bench.benchmark import Benchmark, Size, Target
from tests.bench.instant_comfy import instant_comfy
from tests.bench.straight_line import (
    BareLines,
    Keep,
    RealLedger,
    Rows,
    StraightLine,
    keep,
    keep_proven,
)
from tests.fakes.world import World, small_rows, small_world

IN_FLIGHT = 64
#: Durable changes a row after its acceptance; the straight lines make as many.
STEPS = 4
Run: TypeAlias = Callable[[Coroutine[None, None, float]], float]


class Line(NamedTuple):
    """A straight line; see ``straight_line``."""

    name: str
    run: Run  # on which event loop
    rows: Callable[[Path], Rows]  # what keeps them
    keep: Keep  # what it does with a file


#: The first is asyncio as it comes, the others run on the daemon's own loop.
LINES = (
    Line("straight line", asyncio.run, BareLines, keep),
    Line("straight line on uvloop", uvloop.run, BareLines, keep),
    Line("straight line that proves its files", uvloop.run, BareLines, keep_proven),
    Line("straight line with ledger and proof", uvloop.run, RealLedger, keep_proven),
)


def _measure(folder: Path, rows: int, side: int) -> Mapping[str, float]:
    """Measure with square pictures of noise with *side* pixels."""
    picture = folder / "picture.png"
    noise = Random(1).randbytes(side * side * 3)
    Image.frombytes("RGB", (side, side), noise).save(picture, compress_level=1)
    # Before and after the lines: the machine's own pace changes within the seconds they take.
    first = _daemon(folder / "first", picture, rows)
    lines = {line.name: _line(folder / line.name, picture, rows, line) for line in LINES}
    last = _daemon(folder / "last", picture, rows)
    figures = {name: mean((first[name], last[name])) for name in first}
    daemon = figures["daemon, rows/s"]
    for name, rate in lines.items():
        figures[f"{name}, rows/s"] = rate
        figures[f"daemon / {name}"] = daemon / rate
    return figures


def _line(folder: Path, picture: Path, rows: int, line: Line) -> float:
    """Return a straight line's rows per second."""
    folder.mkdir()
    with instant_comfy(picture) as url:
        straight = StraightLine(url, folder, line.rows(folder), line.keep)
        return line.run(straight.rate(rows, min(IN_FLIGHT, rows)))


def _daemon(folder: Path, picture: Path, rows: int) -> dict[str, float]:
    """Return the daemon's rows per second, and what it asked the server for each."""
    with instant_comfy(picture) as url:
        world = small_world(folder, url, max_in_flight=IN_FLIGHT)
        world.drop("rows", small_rows(rows))
        with (folder / "log").open("w") as log:
            logs.set_up(world.settings().log, log)
            assert uvloop.run(world.run_here(seconds=600)) == 0
        asked = orjson.loads(urllib.request.urlopen(url + "/asked").read())
    assert _changes_a_row(world) == STEPS
    return {"daemon, rows/s": rate_of(world), "requests a row": sum(asked.values()) / rows}


def rate_of(world: World) -> float:
    """Return rows per second from the first submission to the last result."""
    tasks = world.tasks()
    began = min(from_timestamp(task.metadata.processing_start_time or "") for task in tasks)
    ended = max(from_timestamp(task.finished_at or "") for task in tasks)
    return len(tasks) / (ended - began).total_seconds()


def _changes_a_row(world: World) -> int:
    """Return the durable changes of a row after its acceptance; each is a version."""
    state = read_state(world.ledger)
    versions = [state.tasks[task_id].version - 1 for task_id in state.tasks]
    return round(sum(versions) / len(versions))


def _with_downloads(folder: Path, size: Size) -> Mapping[str, float]:
    return _measure(folder, size.of(2000, 20), 183)  # 100 KB


def _without_downloads(folder: Path, size: Size) -> Mapping[str, float]:
    return _measure(folder, size.of(2000, 20), 1)  # 70 bytes


BENCHMARKS = (
    Benchmark(
        name="overhead",
        what="2,000 rows of one 100 KB picture, 64 in flight, all durable",
        measure=_with_downloads,
        targets=(
            Target(figure="daemon / straight line", at_least=0.7),
            # what is promised costs more than a straight line: that floor x 1.2
            Target(figure="daemon / straight line with ledger and proof", at_least=0.83),
        ),
    ),
    Benchmark(
        name="overhead-tiny",
        what="the same with pictures of one pixel: next to nothing to download",
        measure=_without_downloads,
        targets=(Target(figure="daemon / straight line", at_least=0.5),),
    ),
)
