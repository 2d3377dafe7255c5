"""What goes on beside the committers: readers, snapshots, the archive."""

import asyncio
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import uvloop

from tests.bench.benchmark import Benchmark, Size, Target
from tests.bench.ledger_committing import Committers, into, ledger_of

WRITERS = 64
ROOT = Path(__file__).parents[2]

#: What `status` does, five times a second.
_READER = """
import sys, time
from pathlib import Path
from ledger.jsondir.reader import read_index
print("ready", flush=True)
while True:
    assert not read_index(Path(sys.argv[1])).damage
    time.sleep(0.2)
"""


async def _readers(folder: Path, seconds: float) -> dict[str, float]:
    async with ledger_of(folder, 1024) as ledger:
        writers, alone, beside = Committers(into(ledger), WRITERS), [], []
        for _ in range(3):
            alone.append((await writers.commit_for(seconds)).per_second)
            reader = subprocess.Popen(
                [sys.executable, "-c", _READER, str(folder)],
                cwd=ROOT,
                stdout=subprocess.PIPE,
            )
            try:
                await asyncio.to_thread(reader.stdout.readline)
                beside.append((await writers.commit_for(seconds)).per_second)
                assert reader.poll() is None, "the reader saw damage"
            finally:
                reader.kill()
                reader.communicate()
    return {
        "64 writers alone, per second": sum(alone) / len(alone),
        "64 writers beside a reader / alone": sum(beside) / sum(alone),
    }


def readers(folder: Path, size: Size) -> Mapping[str, float]:
    """Commit while another process reads the state again and again, without a lock."""
    return uvloop.run(_readers(folder / "ledger", size.of(1000, 50) / 1000))


async def _pauses(folder: Path, tasks: int, seconds: float) -> dict[str, float]:
    async with ledger_of(folder, tasks) as ledger:
        many, one = Committers(into(ledger), WRITERS), Committers(into(ledger), 1, first=WRITERS)
        committing = asyncio.create_task(one.commit_for(seconds))
        for _ in range(3):
            await ledger.compact()
        compacting = await committing
        committing = asyncio.create_task(many.commit_for(seconds))
        await ledger.compact()
        loaded = await committing
        committing = asyncio.create_task(one.commit_for(seconds))
        moved = await ledger.archive_finished(datetime(2027, 6, 1, tzinfo=UTC))
        archiving = await committing
    return {
        "one committer, compacting, longest ms": compacting.worst_seconds * 1000,
        "64 committers, compacting, longest ms": loaded.worst_seconds * 1000,
        "one committer, archiving, longest ms": archiving.worst_seconds * 1000,
        "tasks archived meanwhile": moved,
    }


def pauses(folder: Path, size: Size) -> Mapping[str, float]:
    """Commit while a large ledger is written down, and moves to the archive."""
    tasks = size.of(100_000, 2_000)
    return uvloop.run(_pauses(folder / "ledger", tasks, size.of(6_000, 50) / 1000))


BENCHMARKS = (
    Benchmark(
        name="ledger-readers",
        what="commits beside lock-free readers",
        measure=readers,
        targets=(Target(figure="64 writers beside a reader / alone", at_least=0.95),),
    ),
    Benchmark(
        name="ledger-pauses",
        what="the longest commit while 100,000 tasks are compacted and archived",
        measure=pauses,
        targets=(
            Target(figure="one committer, compacting, longest ms", at_most=100),
            Target(figure="64 committers, compacting, longest ms", at_most=100),
            Target(figure="one committer, archiving, longest ms", at_most=100),
        ),
    ),
)
