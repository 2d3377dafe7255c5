"""How soon things go on: a finished prompt's file, the next prompt, more servers."""

from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from statistics import median

import uvloop

from daemon import logs
from tests.bench.benchmark import Benchmark, Size, Target
from tests.bench.overhead import rate_of
from tests.bench.simulators import executed, seconds_between, simulators
from tests.fakes.world import World, small_rows, small_world

POLL_SECONDS = 0.2  # of a World's servers


def finish_rows(folder: Path, urls: list[str], rows: int, *, max_in_flight: int = 2) -> World:
    """Have a daemon finish so many rows on these servers."""
    world = small_world(folder / "world", *urls, max_in_flight=max_in_flight)
    world.drop("rows", small_rows(rows))
    with (folder / "log").open("w") as log:
        logs.set_up(world.settings().log, log)
        assert uvloop.run(world.run_here(seconds=600)) == 0
    return world


def _reaction(folder: Path, size: Size) -> Mapping[str, float]:
    heard = _reaction_ms(folder / "heard", size.of(60, 2), silent=False)
    silent = _reaction_ms(folder / "silent", size.of(60, 2), silent=True)
    return {
        "websocket p50, ms": heard,
        "silent p50, ms": silent,
        "silent p50 beyond the poll interval, ms": max(0.0, silent - 1000 * POLL_SECONDS),
    }


def _reaction_ms(folder: Path, rows: int, *, silent: bool) -> float:
    """Return the median from the end of an execution to its file, proven and in the ledger."""
    folder.mkdir()
    with simulators(folder / "comfy", seconds_per_job=0.1, silent=silent) as urls:
        world = finish_rows(folder, urls, rows)
    ended = {run.task_id: run.ended_at for run in executed(folder / "comfy" / "0")}
    return 1000 * median(
        seconds_between(ended[task.task_id], task.finished_at) for task in world.tasks()
    )


def _gap(folder: Path, size: Size) -> Mapping[str, float]:
    with simulators(folder / "comfy", seconds_per_job=0.5) as urls:
        finish_rows(folder, urls, size.of(40, 3))
    runs = executed(folder / "comfy" / "0")
    busy_seconds = sum(seconds_between(run.started_at, run.ended_at) for run in runs)
    gaps = [seconds_between(one.ended_at, other.started_at) for one, other in pairwise(runs)]
    return {
        "idle between prompts / busy": sum(gaps) / busy_seconds,
        "median gap, ms": 1000 * median(gaps),
    }


def _scaling(folder: Path, size: Size) -> Mapping[str, float]:
    figures: dict[str, float] = {}
    for count in (1, 2, 4, 8) if size is Size.FULL else (1, 2):
        here = folder / str(count)
        here.mkdir()
        with simulators(here / "comfy", seconds_per_job=0.2, count=count) as urls:
            world = finish_rows(here, urls, size.of(40, 2) * count)
        figures[f"{count} servers, rows/s"] = rate_of(world)
    one = figures["1 servers, rows/s"]
    return figures | {
        f"{count} servers / one": figures.get(f"{count} servers, rows/s", 0.0) / one
        for count in (2, 4, 8)
    }


BENCHMARKS = (
    Benchmark(
        name="reaction",
        what='from "ComfyUI finished" to the file verified on disk and in the ledger',
        measure=_reaction,
        targets=(
            Target(figure="websocket p50, ms", at_most=50),
            Target(figure="silent p50 beyond the poll interval, ms", at_most=50),
        ),
    ),
    Benchmark(
        name="gap",
        what="idle time of a server between two prompts while rows wait, jobs of 0.5 s",
        measure=_gap,
        targets=(Target(figure="idle between prompts / busy", at_most=0.02),),
    ),
    Benchmark(
        name="scaling",
        what="throughput with two, four, eight servers against one, jobs of 0.2 s",
        measure=_scaling,
        targets=(
            Target(figure="2 servers / one", at_least=1.9),
            Target(figure="4 servers / one", at_least=3.7),
            Target(figure="8 servers / one", at_least=7.0),
        ),
        runs=3,
    ),
)
