"""What the formats of table files have in common: lines of cells under a line of headings."""

from collections.abc import Mapping, Sequence
from typing import Protocol, TypeAlias

import msgspec

from daemon.tables.cells import CellFile
from daemon.tables.errors import Trouble
from ledger.task import Json

#: Line and column of a cell, from 0: the line is an index into ``Grid.lines``, the column one
#: into ``Grid.headings`` or beyond it.
Spot: TypeAlias = tuple[int, int]
#: What a cell of a file can be given; "" empties it.
Plain: TypeAlias = str | int | float


class GridLine(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One line under the headings that is not blank."""

    number: int  # as the program that people open it with counts, from 1
    cells: Sequence[Json]
    mark: str  # a hash of all its cells
    files: Mapping[int, tuple[CellFile, ...]] = {}  # by column: pictures that lie in cells
    problems: Mapping[int, Trouble] = {}  # by column: why a cell cannot be read


class Grid(Protocol):
    """One version of a table file, read."""

    headings: Sequence[str]
    lines: Sequence[GridLine]

    def refusal(self, spot: Spot, value: Plain) -> Trouble | None:
        """Return why the cell cannot be given *value*, None when it can."""
        ...

    def rewritten(self, cells: Mapping[Spot, Plain], headings: Sequence[str]) -> bytes:
        """Return the file with these cells changed and *headings* added behind the last.

        Every byte that says something else stays as it is.
        """
        ...

    def file(self, token: str) -> bytes:
        """Return the bytes of a file that lies in a cell; raises KeyError."""
        ...


class Format(Protocol):
    """How a kind of table file is read."""

    def __call__(self, data: bytes, sheet: str, /) -> Grid:
        """Return what *data* holds; raises Misconfigured for what is no such file."""
        ...
