"""Durable updates: against the bare steps, SQLite, whole-file rewrites, and a larger ledger."""

import asyncio
from collections.abc import Mapping
from pathlib import Path

from ledger.entry import transaction_of
from ledger.jsondir.journal import encode
from ledger.shelf import encode_task
from tests.bench.benchmark import Benchmark, Size, Target
from tests.bench.floors import BareSteps, Sqlite, WholeFile, awaited_rate, rate
from tests.bench.ledger_committing import Figures, commit_together, ledger_of
from tests.bench.ledger_records import NOW, finished_task

WRITERS = 64


def _seconds(size: Size) -> float:
    return 2.0 if size is Size.FULL else 0.05


def _ledger(folder: Path, tasks: int, committers: int, seconds: float) -> Figures:
    async def work() -> Figures:
        async with ledger_of(folder, tasks) as ledger:
            return await commit_together(ledger, committers, seconds)

    return asyncio.run(work())


def _bare(path: Path, seconds: float) -> float:
    change = transaction_of(finished_task(1), op="task.published")
    line = encode(change, 1, NOW)[0]

    async def work() -> float:
        bare = BareSteps(path)
        try:
            return await awaited_rate(lambda: bare.append(line), seconds=seconds)
        finally:
            bare.close()

    return asyncio.run(work())


def _sqlite(path: Path, seconds: float, together: int) -> float:
    records = [(f"img_{n}", encode_task(finished_task(n))) for n in range(1024)]
    sqlite = Sqlite(path)
    sqlite.update(records)
    turn = 0

    def update() -> None:
        nonlocal turn
        sqlite.update(records[turn : turn + together])
        turn = (turn + together) % len(records)

    try:
        return rate(update, seconds=seconds) * together
    finally:
        sqlite.close()


def _rewrites(path: Path, tasks: int, seconds: float) -> float:
    whole = WholeFile(path, [encode_task(finished_task(n)) for n in range(tasks)])
    return rate(whole.update, seconds=seconds)


def updates(folder: Path, size: Size) -> Mapping[str, float]:
    """One update at a time, and 64 writers, each beside its peers."""
    seconds, tasks = _seconds(size), WRITERS * 16
    bare = _bare(folder / "bare", seconds)
    one = _ledger(folder / "one", tasks, 1, seconds)
    sqlite = _sqlite(folder / "sqlite", seconds, 1)
    many = _ledger(folder / "many", tasks, WRITERS, seconds)
    grouped = _sqlite(folder / "grouped", seconds, WRITERS)
    return {
        "one at a time, per second": one.per_second,
        "bare append and fdatasync, per second": bare,
        "one at a time / bare steps": one.per_second / bare,
        "SQLite FULL, per second": sqlite,
        "one at a time / SQLite FULL": one.per_second / sqlite,
        "64 writers, per second": many.per_second,
        "64 writers / SQLite FULL": many.per_second / sqlite,
        "SQLite FULL 64 a transaction, per second": grouped,
        "64 writers / SQLite FULL 64 a transaction": many.per_second / grouped,
        "64 writers, p50 ms": many.p50_seconds * 1000,
        "64 writers, p99 / p50": many.p99_seconds / many.p50_seconds,
    }


def growth(folder: Path, size: Size) -> Mapping[str, float]:
    """The same rates in a ledger of 100,000 tasks as in one of 1,000."""
    seconds, large = _seconds(size), size.of(100_000, 2_000)
    small_one = _ledger(folder / "small-one", 1024, 1, seconds)
    large_one = _ledger(folder / "large-one", large, 1, seconds)
    small = _ledger(folder / "small", 1024, WRITERS, seconds)
    great = _ledger(folder / "great", large, WRITERS, seconds)
    return {
        "one at a time, 1,000 tasks, per second": small_one.per_second,
        "one at a time, 100,000 tasks / 1,000": large_one.per_second / small_one.per_second,
        "64 writers, 1,000 tasks, per second": small.per_second,
        "64 writers, 100,000 tasks / 1,000": great.per_second / small.per_second,
        "64 writers, 100,000 tasks, longest ms": great.worst_seconds * 1000,
    }


def rewrites(folder: Path, size: Size) -> Mapping[str, float]:
    """Against a script that writes all its tasks anew for each change."""
    seconds, some, many = _seconds(size), size.of(10_000, 1_024), size.of(100_000, 2_000)
    one = _ledger(folder / "one", some, 1, seconds).per_second
    one_of_many = _ledger(folder / "one-of-many", many, 1, seconds).per_second
    together = _ledger(folder / "together", some, WRITERS, seconds).per_second
    rewrite = _rewrites(folder / "some.json", some, seconds)
    rewrite_many = _rewrites(folder / "many.json", many, seconds)
    return {
        "rewrite of 10,000 tasks, per second": rewrite,
        "rewrite of 100,000 tasks, per second": rewrite_many,
        "one writer / rewrite, 10,000 tasks": one / rewrite,
        "one writer / rewrite, 100,000 tasks": one_of_many / rewrite_many,
        "64 writers / rewrite, 10,000 tasks": together / rewrite,
    }


BENCHMARKS = (
    Benchmark(
        name="ledger-updates",
        what="durable updates of a full task record",
        measure=updates,
        targets=(
            Target(figure="one at a time / bare steps", at_least=0.8),
            Target(figure="one at a time / SQLite FULL", at_least=0.5),
            Target(figure="64 writers / SQLite FULL", at_least=10),
            Target(figure="64 writers / SQLite FULL 64 a transaction", at_least=1.5),
            Target(figure="64 writers, p99 / p50", at_most=3),
        ),
    ),
    Benchmark(
        name="ledger-growth",
        what="the rate in a ledger a hundred times as large",
        measure=growth,
        targets=(
            Target(figure="one at a time, 100,000 tasks / 1,000", at_least=0.9),
            Target(figure="64 writers, 100,000 tasks / 1,000", at_least=0.7),
        ),
    ),
    Benchmark(
        name="ledger-rewrites",
        what="against rewriting a whole file for each change",
        measure=rewrites,
        targets=(
            Target(figure="one writer / rewrite, 10,000 tasks", at_least=45),
            Target(figure="one writer / rewrite, 100,000 tasks", at_least=500),
            Target(figure="64 writers / rewrite, 10,000 tasks", at_least=500),
        ),
    ),
)
