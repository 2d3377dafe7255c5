"""What a benchmark is: something measured in a process of its own, and what it must reach."""

from collections.abc import Callable, Mapping
from enum import StrEnum
from pathlib import Path
from statistics import median

import msgspec


class Size(StrEnum):
    """How much is done: enough for a figure, or just enough to see that it still runs."""

    FULL = "full"
    SMOKE = "smoke"

    def of(self, full: int, smoke: int) -> int:
        """Return the number for this size."""
        return full if self is Size.FULL else smoke


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """What one figure must reach; figures without a target are shown for reading."""

    figure: str
    at_least: float | None = None
    at_most: float | None = None

    def is_met_by(self, value: float) -> bool:
        """Say whether *value* is good enough."""
        return (self.at_least is None or value >= self.at_least) and (
            self.at_most is None or value <= self.at_most
        )

    def __str__(self) -> str:
        bounds = [("≥", self.at_least), ("≤", self.at_most)]
        return " ".join(
            f"{sign} {round(bound, 3):g}" for sign, bound in bounds if bound is not None
        )


class Benchmark(msgspec.Struct, frozen=True, kw_only=True):
    """``measure`` works in an empty folder and returns its figures by name, unit included.

    Each run has a process of its own, so neither memory nor caches of one reach the next.
    """

    name: str
    what: str
    measure: Callable[[Path, Size], Mapping[str, float]]
    targets: tuple[Target, ...] = ()
    runs: int = 5
    needs: tuple[str, ...] = ()  # programs of the system


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the result: the median of a figure over all runs."""

    benchmark: str
    figure: str
    median: float
    runs: tuple[float, ...]
    target: str = ""
    met: bool | None = None


def rows_of(benchmark: Benchmark, runs: list[Mapping[str, float]]) -> list[Row]:
    """Return the medians of what the *runs* measured, beside their targets."""
    targets = {target.figure: target for target in benchmark.targets}
    rows = []
    for figure in runs[0]:
        values = tuple(run[figure] for run in runs)
        target = targets.get(figure)
        rows.append(
            Row(
                benchmark=benchmark.name,
                figure=figure,
                median=median(values),
                runs=values,
                target=str(target) if target else "",
                met=target.is_met_by(median(values)) if target else None,
            )
        )
    return rows
