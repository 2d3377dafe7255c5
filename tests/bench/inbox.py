"""Job files dropped into the inbox of a running daemon as fast as the disk takes them.

Another process writes them, one row each, and the daemon's own numbers say when it has seen and
taken them. Dropped at that speed, watchdog loses events; the files must be found all the same.
"""

import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from ledger.jsondir.check import verify
from ledger.jsondir.reader import read_state
from tests.bench.benchmark import Benchmark, Size, Target
from tests.bench.installation import Daemon, running, simulator
from tests.fakes.world import ROOT, World, small_world

SETTLE_SECONDS = 2.0
_LOOK_SECONDS = 0.25
_DROPPER = """
import os, sys
folder, count = sys.argv[1], int(sys.argv[2])
head = "编号,产品名,模特名,工作流类型,提示词\\n"
for n in range(count):
    row = f"{n},product {n},model,小图,a quiet street in the rain seen from above number {n}\\n"
    with open(os.path.join(folder, f"job-{n:06}.csv"), "w", encoding="utf-8") as file:
        file.write(head + row)
"""


def _measure(folder: Path, count: int) -> dict[str, float]:
    with simulator(folder / "sim", seconds_per_job=10_000) as url:
        world = small_world(folder / "world", url, max_in_flight=1)
        text = world.config.read_text("utf-8").replace("rescan_seconds = 1", "")
        text = text.replace("settle_seconds = 0.1", f"settle_seconds = {SETTLE_SECONDS}")
        world.config.write_text(text, encoding="utf-8")
        with running(world) as daemon:
            figures = _drop(world, daemon, count)
        assert len(read_state(world.ledger).tasks) == count
        assert not list(world.inbox.glob("job-*"))
        assert sum(1 for _ in (world.inbox / "accepted").rglob("job-*")) == count
        assert not verify(world.ledger)
        with running(world) as again:
            time.sleep(1.0)
            at_rest_mb = again.resident_mb
        peak_mb = figures.pop("peak MB")
        return figures | {"memory above the same rows at rest, MB": max(0.0, peak_mb - at_rest_mb)}


def _drop(world: World, daemon: Daemon, count: int) -> dict[str, float]:
    before_mb = daemon.resident_mb
    began = time.time()
    subprocess.run(
        [sys.executable, "-c", _DROPPER, str(world.inbox), str(count)], check=True, cwd=ROOT
    )
    dropped = time.time()
    seen: float | None = None
    accepted = 0
    while accepted < count:
        time.sleep(_LOOK_SECONDS)
        accepted = int(daemon.measure_of("rowkeeper_batches"))
        waiting = daemon.measure_of("rowkeeper_inbox_drops")
        if seen is None and accepted + waiting >= count:
            seen = time.time()
    ended = time.time()
    complete = dropped + SETTLE_SECONDS
    return {
        "dropped, files/s": count / (dropped - began),
        "accepted, files/s": count / (ended - began - SETTLE_SECONDS),
        "the last one seen after its completion, s": max(0.0, (seen or ended) - complete),
        "the last one accepted after its completion, s": ended - complete,
        "memory growth with the rows accepted, MB": daemon.peak_mb - before_mb,
        "peak MB": daemon.peak_mb,
    }


def _benchmark(name: str, full: int) -> Benchmark:
    def measure(folder: Path, size: Size) -> Mapping[str, float]:
        return _measure(folder, size.of(full, 30))

    return Benchmark(
        name=name,
        what=f"{full} job files of one row, dropped at full speed",
        measure=measure,
        targets=(
            Target(figure="accepted, files/s", at_least=500),
            Target(figure="the last one seen after its completion, s", at_most=2),
            Target(figure="memory growth with the rows accepted, MB", at_most=50),
        ),
    )


BENCHMARKS = (_benchmark("inbox-10k", 10_000), _benchmark("inbox-50k", 50_000))
