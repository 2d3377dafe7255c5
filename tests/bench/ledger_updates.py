"""Durable updates: against the bare steps, SQLite, whole-file rewrites, and a larger ledger."""

from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from statistics import median

import uvloop

from ledger.entry import transaction_of
from ledger.jsondir.journal import encode
from ledger.ledger import Ledger
from ledger.shelf import encode_task
from ledger.task import Task
from tests.bench.benchmark import Benchmark, Size, Target
from tests.bench.floors import (
    AwaitedGroups,
    BareSteps,
    Lines,
    Sqlite,
    WholeFile,
    awaited_rate,
    rate,
)
from tests.bench.ledger_committing import Commit, Committers, Figures, into, ledger_of
from tests.bench.ledger_records import NOW, collecting_task, finished_task
from tests.bench.plain_ledger import PlainLedger

WRITERS = 64


#: The machine's moods change within half a second: turns are short, and there are many.
ROUNDS, SECONDS = 25, 0.1
SECONDS_ON_END = 10.0  # so long that packing and snapshots cannot wait


async def _in_turns(
    contenders: Mapping[str, Callable[[], Awaitable[float]]], size: Size
) -> dict[str, list[float]]:
    """Measure each in every round, so that the machine's moods strike all alike."""
    rates: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(size.of(ROUNDS, 1)):
        for name, measure in contenders.items():
            rates[name].append(await measure())
    return rates


def _ratio(rates: Mapping[str, list[float]], one: str, other: str) -> float:
    return median(a / b for a, b in zip(rates[one], rates[other], strict=True))


def _seconds(size: Size) -> float:
    return SECONDS if size is Size.FULL else 0.02


def _records() -> list[tuple[str, bytes]]:
    tasks = [collecting_task(number) for number in range(1024)]
    return [(task.task_id, encode_task(task)) for task in tasks]


def _directly(sqlite: Sqlite, together: int, seconds: float) -> Callable[[], Awaitable[float]]:
    """Return what measures SQLite called without a loop, its records encoded before."""
    records = _records()
    sqlite.update(records)
    turn = 0

    def update() -> None:
        nonlocal turn
        sqlite.update(records[turn : turn + together])
        turn = (turn + together) % len(records)

    async def measure() -> float:
        return rate(update, seconds=seconds) * together

    return measure


def _together(
    commit: Commit, seconds: float, count: int = WRITERS
) -> Callable[[], Awaitable[float]]:
    committers = Committers(commit, count)

    async def measure() -> float:
        return (await committers.commit_for(seconds)).per_second

    return measure


async def _one(folder: Path, size: Size) -> dict[str, list[float]]:
    seconds = _seconds(size)
    bare, sqlite = BareSteps(folder / "bare"), Sqlite(folder / "one.sqlite")
    line = encode(transaction_of(collecting_task(1), op="task.published"), 1, NOW)[0]
    async with ledger_of(folder / "one", 1024) as ledger:
        rates = await _in_turns(
            {
                "ledger": _together(into(ledger), seconds, 1),
                "bare steps": lambda: awaited_rate(lambda: bare.append(line), seconds=seconds),
                "SQLite": _directly(sqlite, 1, seconds),
            },
            size,
        )
    bare.close()
    sqlite.close()
    return rates


async def _many(folder: Path, size: Size) -> dict[str, list[float]]:
    seconds = _seconds(size)
    single, grouped = Sqlite(folder / "single.sqlite"), Sqlite(folder / "grouped.sqlite")
    awaited, lines = Sqlite(folder / "awaited.sqlite"), Lines(folder / "lines")
    groups = [AwaitedGroups(awaited.update), AwaitedGroups(lines.append)]
    plain = PlainLedger(folder / "plain")
    async with ledger_of(folder / "many", 1024) as ledger:
        committers = Committers(into(ledger), WRITERS)
        taken: list[Figures] = []

        async def measure() -> float:
            taken.append(await committers.commit_for(seconds))
            await ledger.compact()  # what waits for a quiet moment must not meet the others
            return taken[-1].per_second

        rates = await _in_turns(
            {
                "ledger": measure,
                "SQLite": _directly(single, 1, seconds),
                "SQLite, 64 a transaction": _directly(grouped, WRITERS, seconds),
                "SQLite, awaited": _together(groups[0].commit, seconds),
                "lines": _together(groups[1].commit, seconds),
                "promised work": _together(plain.commit, seconds),
            },
            size,
        )
        on_end = await committers.commit_for(seconds * SECONDS_ON_END / SECONDS)
    for each in (*groups, single, grouped, awaited, lines, plain):
        each.close()
    rates["on end"] = [on_end.per_second]
    rates["p50 ms"] = [figures.p50_seconds * 1000 for figures in taken]
    rates["p99 / p50"] = [figures.p99_seconds / figures.p50_seconds for figures in taken]
    return rates


def updates(folder: Path, size: Size) -> Mapping[str, float]:
    """One update at a time, and 64 writers, each beside its peers."""
    one, many = uvloop.run(_one(folder, size)), uvloop.run(_many(folder, size))
    return {
        "one at a time, per second": median(one["ledger"]),
        "bare append and fdatasync, per second": median(one["bare steps"]),
        "one at a time / bare steps": _ratio(one, "ledger", "bare steps"),
        "SQLite FULL, per second": median(one["SQLite"]),
        "one at a time / SQLite FULL": _ratio(one, "ledger", "SQLite"),
        "64 writers, per second": median(many["ledger"]),
        "64 writers / SQLite FULL": _ratio(many, "ledger", "SQLite"),
        "64 writers for ten seconds on end, per second": many["on end"][0],
        "64 writers for ten seconds on end / SQLite FULL": many["on end"][0]
        / median(many["SQLite"]),
        "SQLite FULL 64 a transaction, per second": median(many["SQLite, 64 a transaction"]),
        "64 writers / SQLite FULL 64 a transaction": _ratio(
            many, "ledger", "SQLite, 64 a transaction"
        ),
        "64 writers / SQLite FULL awaited by 64": _ratio(many, "ledger", "SQLite, awaited"),
        "lines awaited by 64, nothing else done, per second": median(many["lines"]),
        "promised work alone, per second": median(many["promised work"]),
        "promised work alone / SQLite FULL": _ratio(many, "promised work", "SQLite"),
        "promised work alone / SQLite FULL 64 a transaction": _ratio(
            many, "promised work", "SQLite, 64 a transaction"
        ),
        "64 writers / promised work alone": _ratio(many, "ledger", "promised work"),
        "64 writers, p50 ms": median(many["p50 ms"]),
        "64 writers, p99 / p50": median(many["p99 / p50"]),
    }


async def _growth(folder: Path, size: Size) -> dict[str, list[float]]:
    seconds = _seconds(size)
    async with (
        ledger_of(folder / "small", 1_040) as small,
        ledger_of(folder / "large", size.of(100_000, 2_000)) as large,
    ):
        return await _in_turns(
            {
                "one, small": _together(into(small), seconds, 1),
                "one, large": _together(into(large), seconds, 1),
            },
            size,
        ) | await _in_turns(
            {
                "many, small": _fresh(small, seconds),
                "many, large": _fresh(large, seconds),
            },
            size,
        )


def _fresh(ledger: Ledger, seconds: float) -> Callable[[], Awaitable[float]]:
    """Return what measures 64 writers that begin where one before them ended."""

    async def commit(task: Task) -> None:
        known = ledger.task(task.task_id)
        await ledger.commit(known.changed(at=NOW), op="task.published")

    return _together(commit, seconds)


def growth(folder: Path, size: Size) -> Mapping[str, float]:
    """The same rates in a ledger of 100,000 tasks as in one of 1,000."""
    rates = uvloop.run(_growth(folder, size))
    return {
        "one at a time, 1,000 tasks, per second": median(rates["one, small"]),
        "one at a time, 100,000 tasks / 1,000": _ratio(rates, "one, large", "one, small"),
        "64 writers, 1,000 tasks, per second": median(rates["many, small"]),
        "64 writers, 100,000 tasks / 1,000": _ratio(rates, "many, large", "many, small"),
    }


def _rewrites(path: Path, tasks: int, seconds: float) -> float:
    whole = WholeFile(path, [encode_task(finished_task(n)) for n in range(tasks)])
    return rate(whole.update, seconds=seconds)


async def _rate(folder: Path, tasks: int, committers: int, seconds: float) -> float:
    async with ledger_of(folder, tasks) as ledger:
        return await _together(into(ledger), seconds, committers)()


def rewrites(folder: Path, size: Size) -> Mapping[str, float]:
    """Against a script that writes all its tasks anew for each change."""
    some, many, seconds = size.of(10_000, 1_040), size.of(100_000, 2_000), _seconds(size)
    one = uvloop.run(_rate(folder / "one", some, 1, seconds))
    one_of_many = uvloop.run(_rate(folder / "one-of-many", many, 1, seconds))
    together = uvloop.run(_rate(folder / "together", some, WRITERS, seconds))
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
            Target(figure="64 writers / promised work alone", at_least=1 / 1.2),
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
