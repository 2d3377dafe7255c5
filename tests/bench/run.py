"""Runs benchmarks, each run in a child process: ``python -m tests.bench.run NAME FOLDER SIZE``."""

import subprocess
import sys
import tempfile
from pathlib import Path

import msgspec

from tests.bench.benchmark import Benchmark, Size
from tests.bench.catalogue import find

ROOT = Path(__file__).parents[2]


class RunFailed(Exception):
    """A benchmark's process ended badly; the text is what it said."""


def measure(benchmark: Benchmark, size: Size, *, inside: Path | None = None) -> dict[str, float]:
    """Return the figures of one run, made in a new folder (below *inside*) and a new process."""
    with tempfile.TemporaryDirectory(prefix="rowkeeper-bench-", dir=inside) as folder:
        command = [sys.executable, "-m", "tests.bench.run", benchmark.name, folder, size.value]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RunFailed(f"{benchmark.name}: {done.stderr.strip()[-2000:]}")
    sys.stderr.write(done.stderr)  # warnings and what a benchmark found wrong
    return msgspec.json.decode(done.stdout.splitlines()[-1], type=dict[str, float])


def main() -> None:
    """Measure one benchmark here and print its figures as the last line."""
    name, folder, size = sys.argv[1:]
    figures = dict(find(name).measure(Path(folder), Size(size)))
    sys.stdout.write(msgspec.json.encode(figures).decode() + "\n")


if __name__ == "__main__":
    main()
