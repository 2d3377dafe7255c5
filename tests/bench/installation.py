"""A real daemon in a process of its own, and what the system says of that process."""

import contextlib
import http.client
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from tests.fakes.world import ROOT, World

_TICK_SECONDS = 1 / os.sysconf("SC_CLK_TCK")
START_SECONDS = 120.0


class Daemon:
    """A running daemon: asked over its door, weighed through ``/proc``."""

    def __init__(self, process: subprocess.Popen[bytes], url: str, token: str) -> None:
        self._process = process
        self.pid = process.pid
        self.url = url
        self.token = token

    def get(self, path: str) -> bytes:
        """Return the body of the answer, whatever it says."""
        where = urlsplit(self.url)
        connection = http.client.HTTPConnection(where.hostname or "", where.port, timeout=60)
        try:
            connection.request("GET", path)
            return connection.getresponse().read()
        finally:
            connection.close()

    def measure_of(self, name: str) -> float:
        """Return a number that ``/metrics`` tells, summed over its labels; 0 if it tells none."""
        lines = self.get("/metrics").decode().splitlines()
        told = [line for line in lines if line.startswith((f"{name} ", f"{name}{{"))]
        return sum(float(line.rpartition(" ")[2]) for line in told)

    @property
    def resident_mb(self) -> float:
        """The memory it holds now."""
        return self._status_mb("VmRSS:")

    @property
    def peak_mb(self) -> float:
        """The most memory it ever held."""
        return self._status_mb("VmHWM:")

    def _status_mb(self, key: str) -> float:
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith(key):
                return int(line.split()[1]) / 1000
        raise AssertionError(key)

    @property
    def processor_seconds(self) -> float:
        """What it has computed so far, in all its threads."""
        return processor_seconds(self.pid)


def processor_seconds(pid: int) -> float:
    """Return what a process has computed so far, in all its threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * _TICK_SECONDS


def as_installed(folder: Path) -> dict[str, str]:
    """Return the environment of a user: there Python compiles our modules at the first start only.

    What it compiled lies in *folder*, not among the sources.
    """
    env = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return env | {"PYTHONPYCACHEPREFIX": str(folder / "bytecode")}


@contextlib.contextmanager
def running(world: World, *, log: Path | None = None) -> Iterator[Daemon]:
    """Run the daemon on *world* until the end of the block; yields when its door is open."""
    address = world.state / "web.json"
    address.unlink(missing_ok=True)
    with (log or world.folder / "daemon.log").open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, str(ROOT / "run_daemon.py"), "--config", str(world.config), "run"],
            stdout=out,
            stderr=subprocess.STDOUT,
        )
    try:
        wait_until(lambda: address.exists() or process.poll() is not None, START_SECONDS)
        assert process.poll() is None, (world.folder / "daemon.log").read_text()[-2000:]
        url = json.loads(address.read_bytes())["url"]
        yield Daemon(process, url, (world.state / "admin-token").read_text().strip())
    finally:
        process.terminate()
        process.wait(60)


@contextlib.contextmanager
def simulator(folder: Path, *, seconds_per_job: float) -> Iterator[str]:
    """Run a simulator of ComfyUI in a process of its own; yields its address."""
    command = [sys.executable, str(ROOT / "run_daemon.py"), "simulate", "--port", "0"]
    command += ["--folder", str(folder), "--seconds-per-job", str(seconds_per_job)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        assert process.stdout is not None
        line = process.stdout.readline().decode()
        yield next(word for word in line.split() if word.startswith("http://")).rstrip(",.;")
    finally:
        process.terminate()
        process.wait(30)


def wait_until(holds: object, seconds: float, pause_seconds: float = 0.02) -> float:
    """Return the moment (monotonic) when *holds* first says yes."""
    assert callable(holds)
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(pause_seconds)
    return time.monotonic()
