"""Which line of a grid a change means, and a line as a row; pure."""

from collections import defaultdict, deque
from collections.abc import Sequence
from typing import Protocol

from daemon.tables.cells import CellFile, Pick, Row, as_text
from daemon.tables.columns import Columns
from daemon.tables.grid import GridLine, Plain
from ledger.task import Json


class Lines(Protocol):
    """What lines are looked for in."""

    @property
    def lines(self) -> Sequence[GridLine]: ...  # noqa: D102 - see the class


class Places:
    """Finds the line of each change; lines that look alike are given out one after the other."""

    def __init__(self, grid: Lines, columns: Columns) -> None:
        self._grid = grid
        self._columns = columns
        self._by_key: dict[str, list[int]] = {}
        self._by_mark: dict[str, deque[int]] = defaultdict(deque)
        key_column = columns.found.get("task_id")
        for index, line in enumerate(grid.lines):
            self._by_mark[line.mark].append(index)
            key = "" if key_column is None else as_text(cell_of(line, key_column))
            if key:
                self._by_key.setdefault(key, []).append(index)

    def take(self, row: Row | str, among: Pick | None = None) -> int | None:
        """Return the index of the line that is meant, or None.

        Of those that bear a key: the one that *among* picks, else the first.
        """
        if isinstance(row, str):
            bearing = self._by_key.get(row, ())
            if among is None or not bearing:
                return bearing[0] if bearing else None
            rows = [row_of(self._grid.lines[index], self._columns) for index in bearing]
            picked = among(rows)
            return next((n for n, each in zip(bearing, rows, strict=True) if each is picked), None)
        alike = self._by_mark.get(row.mark)
        if not alike:
            return None
        there = [index for index in alike if str(self._grid.lines[index].number) == row.place]
        found = there[0] if there else alike[0]
        alike.remove(found)
        return found


def row_of(line: GridLine, columns: Columns) -> Row:
    """Return the line as a row."""
    cells: dict[str, Json] = {}
    files: dict[str, tuple[CellFile, ...]] = {}
    for key, column in columns.found.items():
        value = cell_of(line, column)
        value = value.strip() if isinstance(value, str) else value
        if column in line.files:
            files[key] = line.files[column]
        elif value not in (None, ""):
            cells[key] = value
    return Row(
        place=str(line.number),
        key=as_text(cells.get("task_id")) or None,
        cells=cells,
        files=files,
        mark=line.mark,
        problems={k: line.problems[c] for k, c in columns.found.items() if c in line.problems},
    )


def cell_of(line: GridLine, column: int) -> Json:
    """Return what stands in a line under a heading, None where the line ends before it."""
    return line.cells[column] if column < len(line.cells) else None


def is_same(found: Json, wanted: Plain) -> bool:
    """Say whether a cell holds the value already, as people see it."""
    return as_text(found) == as_text(wanted)
