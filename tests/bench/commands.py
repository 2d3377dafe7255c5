"""A daemon with 100,000 finished tasks: what it takes when idle, and how fast commands answer."""

import json
import resource
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from statistics import median

from tests.bench.benchmark import Benchmark, Size, Target
from tests.bench.installation import as_installed, running, simulator
from tests.bench.ledger_records import write_ledger
from tests.fakes.world import ROOT, World

TRIES = 5
PAGE = 1000


def _idle(folder: Path, size: Size) -> Mapping[str, float]:
    with simulator(folder / "sim", seconds_per_job=0) as url:
        world = World(folder / "world", url)
        write_ledger(world.ledger, size.of(100_000, 200))
        with running(world) as daemon:
            time.sleep(size.of(10, 1))  # what the start stirred up
            computed, began = daemon.processor_seconds, time.monotonic()
            time.sleep(size.of(30, 1))
            share = (daemon.processor_seconds - computed) / (time.monotonic() - began)
            return {"share of a core": share, "resident MB": daemon.resident_mb}


def _commands(folder: Path, size: Size) -> Mapping[str, float]:
    tasks = size.of(100_000, 200)
    world = World(folder / "world", "http://127.0.0.1:9")
    write_ledger(world.ledger, tasks)
    figures: dict[str, float] = {}
    with running(world):
        for words in (["status"], ["tasks", "--json"], ["tasks", "--failed", "--json"]):
            name = " ".join(words)
            seconds, processor, said = _run(world, words, size.of(TRIES, 1))
            figures |= {f"{name}, s": seconds, f"{name}, CPU s": processor}
            if words == ["tasks", "--json"]:
                page = json.loads(said)
                assert len(page["tasks"]) == min(PAGE, tasks)
                assert bool(page["next_cursor"]) is (tasks > PAGE)
        seconds, processor, _ = _run(world, ["server", "gpu-0", "drain"], size.of(TRIES, 1))
        figures |= {"server drain, s": seconds, "server drain, CPU s": processor}
    return figures


def _run(world: World, words: list[str], tries: int) -> tuple[float, float, bytes]:
    """Return the medians of seconds and processor seconds, and what was said.

    The first start, which compiles our modules, does not count.
    """
    env = as_installed(world.folder)
    command = [sys.executable, str(ROOT / "run_daemon.py"), "--config", str(world.config), *words]
    seconds, processor, said = [], [], b""
    subprocess.run(command, capture_output=True, check=True, env=env)
    for _ in range(tries):
        began, before = time.monotonic(), _computed()
        said = subprocess.run(command, capture_output=True, check=True, env=env).stdout
        seconds.append(time.monotonic() - began)
        processor.append(_computed() - before)
    return median(seconds), median(processor), said


def _computed() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


BENCHMARKS = (
    Benchmark(
        name="idle",
        what="a daemon with nothing to do, 100,000 finished tasks in its ledger",
        measure=_idle,
        targets=(
            Target(figure="share of a core", at_most=0.01),
            Target(figure="resident MB", at_most=120),
        ),
        runs=3,
    ),
    Benchmark(
        name="commands",
        what="commands beside a running daemon with 100,000 tasks",
        measure=_commands,
        targets=(
            Target(figure="status, s", at_most=0.5),
            Target(figure="tasks --json, s", at_most=0.5),
        ),
        runs=3,
    ),
)
