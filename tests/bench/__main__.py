"""``python -m tests.bench [NAME…]``: medians of several runs as a table, or as JSON."""

import os
import platform
import sys
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import click
import msgspec

from tests.bench.benchmark import Row, Size, rows_of
from tests.bench.catalogue import MODULES, find
from tests.bench.run import measure


@click.command()
@click.argument("names", nargs=-1, metavar="[NAME…]")
@click.option("--json", "as_json", is_flag=True, help="One JSON document instead of the table.")
@click.option("--runs", type=click.IntRange(min=1), help="Runs of each; else what it asks for.")
@click.option("--smoke", is_flag=True, help="Tiny sizes: shows that it runs, not how fast.")
@click.option("--in", "inside", type=click.Path(path_type=Path, exists=True), help="The disk.")
def main(
    names: tuple[str, ...], *, as_json: bool, runs: int | None, smoke: bool, inside: Path | None
) -> None:
    """Measure the benchmarks NAME (all of them when none is named)."""
    if unknown := [name for name in names if name not in MODULES]:
        raise click.UsageError(f"unknown: {', '.join(unknown)}; there are {', '.join(MODULES)}")
    rows: list[Row] = []
    for name in names or MODULES:
        benchmark = find(name)
        size = Size.SMOKE if smoke else Size.FULL
        measured: list[Mapping[str, float]] = []
        for number in range(runs or benchmark.runs):
            click.echo(f"{name}: run {number + 1}", err=True)
            measured.append(measure(benchmark, size, inside=inside))
        rows += rows_of(benchmark, measured)
        if not as_json:
            click.echo("\n".join(_lines(rows[-len(measured[0]) :])))
    if as_json:
        document = {"machine": _machine(), "rows": rows}
        click.echo(msgspec.json.encode(document).decode())
    sys.exit(1 if any(row.met is False for row in rows) else 0)


def _lines(rows: Iterable[Row]) -> Iterable[str]:
    marks = {True: "ok", False: "MISSED", None: ""}
    for row in rows:
        name = f"{row.benchmark}: {row.figure}"
        yield f"{name:<72} {row.median:>12.4g}  {row.target:<14} {marks[row.met]}"


def _machine() -> dict[str, str]:
    return {
        "measured_at": datetime.now(UTC).isoformat(timespec="minutes"),
        "cores": str(os.cpu_count()),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "rowkeeper": version("rowkeeper"),
    }


if __name__ == "__main__":
    main()
