"""Twenty minutes of kills, faults and commands: nothing lost, nothing doubled, nothing grows."""

import asyncio
import contextlib
import json
import re
import sys
import urllib.request
from pathlib import Path

from tests.bench.benchmark import Benchmark, Size, Target
from tests.fakes.chaos import Storm

CALM_SECONDS = 180.0
START_SECONDS = 30.0
#: What must not grow, by its name in /metrics.
GROWTH = {
    "open files": "process_open_fds",
    "asyncio tasks": "rowkeeper_asyncio_tasks",
    "memory": "process_resident_memory_bytes",
}
#: A server that has just come back has no websocket yet (the next try may be 30 s away), and a kept
#: connection closes after 15 s without use: so many files of each server may be missing early.
FILES_THAT_COME_AND_GO = 2


def measure(folder: Path, size: Size) -> dict[str, float]:
    """Return what happened, how much of it was wrong, and what grew."""
    return asyncio.run(weather(folder, size.of(1200, 4), looks=size.of(10, 2)))


async def weather(folder: Path, seconds: float, *, looks: int = 10) -> dict[str, float]:
    """Let a storm rage for *seconds*; in its second half the daemon is not killed and watched."""
    storm = Storm(folder, seed=1)
    try:
        await storm.begin()
        await storm.rage(seconds / 2, daemon_dies=True)
        await storm.calm(CALM_SECONDS)
        await storm.rage(seconds / 10, daemon_dies=False)
        await storm.calm(CALM_SECONDS)
        early = await _standing(storm, looks)
        await storm.rage(seconds * 4 / 10, daemon_dies=False)
        await storm.calm(CALM_SECONDS)
        late = await _standing(storm, looks)
        problems = storm.judged()
    finally:
        await storm.end()
    if problems:
        sys.stderr.write("\n".join([*problems[:20], ""]))
    return {
        "rows": storm.rows,
        **{name: float(count) for name, count in storm.deeds.items()},
        "problems": len(problems),
        **_growth(early, late, passing_files=FILES_THAT_COME_AND_GO * len(storm.gpus)),
    }


async def _standing(storm: Storm, looks: int) -> list[dict[str, float]]:
    """Return what the daemon holds at rest, as seen once a second: connections come and go."""
    seen: list[dict[str, float]] = []
    async with asyncio.timeout(START_SECONDS + 3 * looks):
        while len(seen) < looks:
            await asyncio.sleep(1)
            with contextlib.suppress(OSError):  # a daemon that was just killed is still starting
                seen.append(await asyncio.to_thread(_look, storm.world.state / "web.json"))
    return seen


def _growth(
    early: list[dict[str, float]], late: list[dict[str, float]], *, passing_files: int
) -> dict[str, float]:
    """Return by what factor the least of *late* exceeds the most of *early*."""
    most = {name: max(each[name] for each in early) for name in GROWTH}
    least = {name: min(each[name] for each in late) for name in GROWTH}
    least["open files"] = max(most["open files"], least["open files"] - passing_files)
    return {f"{name}, late / early": least[name] / most[name] for name in GROWTH}


def _look(address: Path) -> dict[str, float]:
    url = json.loads(address.read_text())["url"]
    with urllib.request.urlopen(f"{url}/metrics", timeout=10) as answer:
        text = answer.read().decode()
    return {
        name: float(re.search(rf"^{metric} (\S+)$", text, re.MULTILINE)[1])
        for name, metric in GROWTH.items()
    }


BENCHMARKS = [
    Benchmark(
        name="soak",
        what="random kills of daemon and servers, random faults, 8 command lines",
        measure=measure,
        targets=(
            Target(figure="problems", at_most=0),
            *(Target(figure=f"{name}, late / early", at_most=1.05) for name in GROWTH),
        ),
        runs=1,
    )
]
