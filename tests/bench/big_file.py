"""One job file with 100,000 rows: how long until all rows are there, and who waits meanwhile.

A process of its own asks for ``/healthz`` and ``/api/status`` ten times a second, and the
command ``status``, most of which is its start, is run again and again. The rows appear at once, so
no answer may ever show some of them only.
"""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from ledger.jsondir.check import verify
from ledger.jsondir.reader import read_state
from tests.bench.benchmark import Benchmark, Size, Target
from tests.bench.installation import Daemon, as_installed, running, simulator
from tests.fakes.world import ROOT, World, small_world

_PROBE = """
import http.client, json, sys, time
port, token = int(sys.argv[1]), sys.argv[2]
connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
worst = {"/healthz": 0.0, "/api/status": 0.0}
print("asking", flush=True)
import select
while not select.select([sys.stdin], [], [], 0.1)[0]:
    for path in worst:
        began = time.perf_counter()
        connection.request("GET", path, headers={"Authorization": "Bearer " + token})
        connection.getresponse().read()
        worst[path] = max(worst[path], time.perf_counter() - began)
print(json.dumps(worst), flush=True)
"""


def _measure(folder: Path, size: Size) -> Mapping[str, float]:
    count = size.of(100_000, 500)
    with simulator(folder / "sim", seconds_per_job=10_000) as url:
        world = small_world(folder / "world", url, max_in_flight=1)
        _write(folder / "big.csv", count)
        with running(world) as daemon, _Statuses(world) as statuses:
            figures = _drop(folder, world, daemon)
    assert len(read_state(world.ledger).tasks) == count
    assert not verify(world.ledger)
    assert statuses.seen <= {0, count}, statuses.seen
    return figures | {
        "status while it lasts, s": max(statuses.seconds),
        "status of an idle daemon, s": statuses.alone_seconds,
    }


def _write(path: Path, count: int) -> None:
    head = "编号,产品名,模特名,工作流类型,提示词\n"
    rows = (
        f"{n},product {n},model {n},小图,a quiet street in the rain seen from above {n}\n"
        for n in range(count)
    )
    path.write_text(head + "".join(rows), encoding="utf-8")


def _drop(folder: Path, world: World, daemon: Daemon) -> dict[str, float]:
    probe = subprocess.Popen(
        [sys.executable, "-c", _PROBE, daemon.url.rpartition(":")[2], daemon.token],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert probe.stdin is not None
    assert probe.stdout is not None
    probe.stdout.readline()
    began = time.monotonic()
    (folder / "big.csv").rename(world.inbox / "big.csv")
    while daemon.measure_of("rowkeeper_batches") < 1:
        time.sleep(0.1)  # each look makes the daemon write all its measures
    seconds = time.monotonic() - began
    time.sleep(1.0)  # what it stirred up belongs to it
    probe.stdin.write(b"end\n")
    probe.stdin.flush()
    worst = json.loads(probe.stdout.readline())
    probe.wait(10)
    return {
        "from drop to all rows, s": seconds,
        "longest wait for /healthz, s": worst["/healthz"],
        "longest wait for /api/status, s": worst["/api/status"],
    }


class _Statuses:
    """Runs ``status`` again and again beside the daemon; keeps how long each took."""

    def __init__(self, world: World) -> None:
        self._command = [sys.executable, str(ROOT / "run_daemon.py")]
        self._command += ["--config", str(world.config), "status", "--json"]
        self._env = as_installed(world.folder)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._ask)
        self.seconds: list[float] = []
        self.seen: set[int] = set()

    def __enter__(self) -> Self:
        self._say()  # the first start, which compiles our modules, does not count
        self.alone_seconds = max(self._timed()[0] for _ in range(3))
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _ask(self) -> None:
        while not self._ended.wait(0.5):
            seconds, said = self._timed()
            self.seconds.append(seconds)
            batches = json.loads(said)["batches"]
            self.seen.add(sum(batch["statistics"]["total"] for batch in batches))

    def _timed(self) -> tuple[float, bytes]:
        began = time.monotonic()
        said = self._say()
        return time.monotonic() - began, said

    def _say(self) -> bytes:
        done = subprocess.run(self._command, capture_output=True, check=True, env=self._env)
        return done.stdout


BENCHMARKS = (
    Benchmark(
        name="file-of-100k-rows",
        what="one job file of 100,000 rows dropped into the inbox of a running daemon",
        measure=_measure,
        targets=(
            Target(figure="from drop to all rows, s", at_most=10),
            Target(figure="longest wait for /healthz, s", at_most=0.25),
            Target(figure="longest wait for /api/status, s", at_most=0.25),
            Target(
                figure="status while it lasts, s", at_most=0.5
            ),  # as of any process of a command
        ),
    ),
)
