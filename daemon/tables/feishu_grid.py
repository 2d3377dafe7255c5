"""A sheet of a Feishu spreadsheet as lines of cells; pure.

Rows may be short and empty cells are None. A picture in a cell is a dict with its ``fileToken``,
several are a list of such dicts; rich text is a list of parts; pictures that float above the cells
are not in the answer at all.
"""

from collections.abc import Sequence

import msgspec

from daemon.feishu.json import Json
from daemon.tables.cells import CellFile
from daemon.tables.feishu_rows import digest
from daemon.tables.feishu_values import text_of
from daemon.tables.grid import GridLine


class SheetGrid(msgspec.Struct, frozen=True):
    """A sheet, read: its headings and the lines under them that are not blank."""

    headings: Sequence[str]
    lines: Sequence[GridLine]
    heading_number: int  # the line of the headings as on the screen, from 1
    width: int  # columns that have a heading


def grid_of(values: Sequence[Sequence[Json]]) -> SheetGrid:
    """Return the lines of *values*; the first that is not blank holds the headings."""
    head = next((number for number, line in enumerate(values) if _is_told(line)), None)
    if head is None:
        return SheetGrid((), (), 1, 0)
    headings = [text_of(cell).strip() for cell in values[head]]
    while headings and not headings[-1]:
        headings.pop()
    width = len(headings)
    lines = [
        _line(number, line[:width])
        for number, line in enumerate(values[head + 1 :], head + 2)
        if _is_told(line[:width])
    ]
    return SheetGrid(headings, lines, head + 1, width)


def _is_told(line: Sequence[Json]) -> bool:
    return any(cell not in (None, "", []) for cell in line)


def _line(number: int, line: Sequence[Json]) -> GridLine:
    files = {column: found for column, cell in enumerate(line) if (found := files_of(cell))}
    cells = [None if column in files else _plain(cell) for column, cell in enumerate(line)]
    tokens = {str(column): [file.token for file in found] for column, found in files.items()}
    while cells and cells[-1] in (None, ""):
        cells.pop()
    return GridLine(number=number, cells=cells, files=files, mark=digest([cells, tokens]))


def files_of(cell: Json) -> tuple[CellFile, ...]:
    """Return the pictures and attachments that lie in a cell."""
    parts = cell if isinstance(cell, list) else [cell]
    return tuple(
        CellFile(token=str(part["fileToken"]), name=str(part.get("text") or part["fileToken"]))
        for part in parts
        if isinstance(part, dict) and part.get("fileToken")
    )


def _plain(cell: Json) -> Json:
    """Return a cell's text or number; bools as people see them."""
    match cell:
        case bool():
            return "TRUE" if cell else "FALSE"
        case None | str() | int() | float():
            return cell
        case _:
            return text_of(cell) or None
