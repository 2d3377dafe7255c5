"""Cells that were written into the wrong row of a sheet, since rows moved that very moment; pure.

A sheet is written by place, and nothing makes a write depend on what stands there. So where the
document was changed by somebody between our reading and our write, what stands under the cells now
is compared with what stood there before, by all other cells of the line.
"""

from collections.abc import Iterator, Mapping, Sequence

import msgspec

from daemon.feishu.json import Json
from daemon.tables.cells import Result, as_text
from daemon.tables.feishu_grid import SheetGrid
from daemon.tables.feishu_sheet_plan import SheetPlan
from daemon.tables.grid import GridLine
from daemon.tables.places import cell_of


class Strays(msgspec.Struct, frozen=True):
    """What went astray, and what puts it right."""

    plans: list[SheetPlan]  # of rows that were elsewhere
    cells: dict[tuple[int, int], Json]  # by line and column: what stood in the rows that were hit


def strays_among(plans: Sequence[SheetPlan], before: SheetGrid, now: SheetGrid) -> Strays:
    """Return which of *plans*, sent by what *before* told, hit other rows that stand there *now*.

    A row that nobody saw before is taken for an inserted one, whose cells were empty.
    """
    lines = {line.number: line for line in now.lines}
    found = Strays([], {})
    for plan in plans:
        if plan.line is None or not _written(plan):
            continue
        hit = lines.get(plan.line.number)
        cells = {} if hit is None else dict(_hit(plan, plan.line, hit, before, now))
        if cells or hit is None:
            found.plans.append(plan)
            found.cells.update({(plan.line.number, column): was for column, was in cells.items()})
    return found


def _hit(
    plan: SheetPlan, meant: GridLine, hit: GridLine, before: SheetGrid, now: SheetGrid
) -> Iterator[tuple[int, Json]]:
    """Yield the cells of the line *hit* that were not meant, by column, with what they held."""
    written = {name for column in _written(plan) for name in _named(column, before, now)}
    looks = _looks(hit, now, written)
    was: GridLine | None = meant
    if looks != _looks(meant, before, written):
        others = (line for line in before.lines if _looks(line, before, written) == looks)
        was = next(others, None)
        if was is None and not any(
            _looks(line, now, written) == _looks(meant, before, written) for line in now.lines
        ):
            was = meant  # it is the row, edited
    for column in _written(plan):
        heading = now.headings[column] if column < len(now.headings) else ""
        if was is meant and heading == before.headings[column]:
            continue
        own = before.headings.index(heading) if heading in before.headings else None
        yield column, "" if was is None or own is None else cell_of(was, own) or ""


def _written(plan: SheetPlan) -> list[int]:
    """Return the columns that were written, those of pictures too; none of what was refused."""
    if plan.outcome.result is not Result.WRITTEN:
        return []
    return [*plan.cells, *plan.pictures]


def _named(column: int, *grids: SheetGrid) -> Iterator[str]:
    """Yield what the column is called in each of *grids*."""
    return (grid.headings[column] for grid in grids if column < len(grid.headings))


def _looks(line: GridLine, grid: SheetGrid, written: set[str]) -> Mapping[str, object]:
    """Return what tells a line from others: its cells by heading, but for those *written*."""
    told: dict[str, object] = {}
    for column, heading in enumerate(grid.headings):
        files = line.files.get(column)
        held = [file.token for file in files] if files else as_text(cell_of(line, column))
        if heading and heading not in written and held:
            told[heading] = held
    return told
