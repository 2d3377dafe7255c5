"""200 browsers watch while jobs of 0.2 s run on 16 servers: what that costs, and one that is deaf.

Rounds with and without listeners take turns in one run, so that both meet the same machine.
"""

import threading
import time
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from statistics import median

from tests.bench.benchmark import Benchmark, Size, Target
from tests.bench.event_clients import connection, listening
from tests.bench.installation import Daemon, running, wait_until
from tests.bench.simulators import simulators
from tests.fakes.world import World, small_rows, small_world

SECONDS_PER_JOB = 0.2
SERVERS = 16
ROUND_SECONDS = 600.0
LISTENERS = "rowkeeper_event_listeners"
DONE = 'rowkeeper_tasks{stage="done"}'


def _measure(folder: Path, size: Size) -> Mapping[str, float]:
    rows, count = size.of(1000, 6), size.of(200, 3)
    rates: dict[bool, list[float]] = {False: [], True: []}
    peaks: dict[bool, list[float]] = {False: [], True: []}
    processor: dict[bool, list[float]] = {False: [], True: []}
    told_bytes = tasks = cut_off = deaf_seconds = 0.0
    with simulators(
        folder / "comfyui", seconds_per_job=SECONDS_PER_JOB, count=size.of(SERVERS, 2)
    ) as urls:
        world = small_world(folder / "world", *urls, max_in_flight=2)
        with running(world) as daemon:
            for number, watched in enumerate((False, True, True, False)):
                with listening(daemon.url, count) if watched else nullcontext() as clients:
                    deaf = _Deaf(daemon) if watched and size is Size.FULL else None
                    before_seconds = daemon.processor_seconds
                    rate, peak_mb = _round(world, daemon, f"round{number}", rows)
                    processor[watched].append(daemon.processor_seconds - before_seconds)
                    if deaf is not None:
                        deaf_seconds = max(deaf_seconds, deaf.seconds())
                if clients is not None:
                    told_bytes += clients.heard["bytes"]
                    tasks += clients.heard["tasks"]
                    cut_off += clients.heard["cut_off"]
                rates[watched].append(rate)
                peaks[watched].append(peak_mb)
    return {
        "jobs/s without listeners": median(rates[False]),
        f"jobs/s with {count} listeners": median(rates[True]),
        "share of the throughput": median(rates[True]) / median(rates[False]),
        "processor time of the daemon, with / without": sum(processor[True])
        / sum(processor[False]),
        "more memory, MB": max(0.0, max(peaks[True]) - min(peaks[False])),
        "events of tasks for each listener and job": tasks / count / (2 * rows),
        "told to each listener, KB/s": told_bytes / count / 1000 / (2 * rows / median(rates[True])),
        "listeners cut off": cut_off,
        "seconds until a deaf listener was cut off": deaf_seconds,
    }


def _round(world: World, daemon: Daemon, name: str, rows: int) -> tuple[float, float]:
    """Run a job of so many rows; returns jobs a second and the most memory held meanwhile."""
    before = _number_of(daemon, DONE)
    began = time.monotonic()
    world.drop(name, small_rows(rows, name))
    peak_mb = 0.0

    def all_done() -> bool:
        nonlocal peak_mb
        peak_mb = max(peak_mb, daemon.resident_mb)
        return _number_of(daemon, DONE) - before >= rows

    ended = wait_until(all_done, ROUND_SECONDS, pause_seconds=0.25)
    return rows / (ended - began), peak_mb


def _number_of(daemon: Daemon, line: str) -> float:
    """Return the number of one line of ``/metrics``."""
    for each in daemon.get("/metrics").decode().splitlines():
        if each.startswith(f"{line} "):
            return float(each.rpartition(" ")[2])
    return 0.0


class _Deaf:
    """A listener that reads nothing, and how long the daemon bears with it."""

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon
        self._listeners = _number_of(daemon, LISTENERS) + 1
        self._socket = connection(daemon.url)
        self._began = time.monotonic()
        self._seconds = ROUND_SECONDS
        wait_until(lambda: _number_of(daemon, LISTENERS) >= self._listeners, 10)
        self._watch = threading.Thread(target=self._wait)
        self._watch.start()

    def _wait(self) -> None:
        gone = wait_until(
            lambda: _number_of(self._daemon, LISTENERS) < self._listeners, ROUND_SECONDS, 0.25
        )
        self._seconds = gone - self._began

    def seconds(self) -> float:
        """Return the seconds between its connecting and its being cut off."""
        self._watch.join()
        self._socket.close()
        return self._seconds


BENCHMARKS = (
    Benchmark(
        name="event-listeners",
        what="2,000 jobs of 0.2 s on 16 servers with 200 listeners, beside as many without",
        measure=_measure,
        targets=(
            Target(figure="share of the throughput", at_least=0.95),
            Target(figure="more memory, MB", at_most=60),
            Target(figure="listeners cut off", at_most=0),
            Target(figure="seconds until a deaf listener was cut off", at_most=10),
        ),
        runs=3,
    ),
)
