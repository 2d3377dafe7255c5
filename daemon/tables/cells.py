"""What passes between the daemon and a table: rows as they were read, and cells to be written."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import TypeAlias

import msgspec

from daemon.tables.columns import Columns
from daemon.tables.errors import Trouble
from ledger.task import Json

#: From here on a decimal number no longer names one whole number.
_UNSURE_FROM = 2**53


def as_text(value: Json) -> str:
    """Return a cell's value as people read it, without outer blanks; "" for an empty one."""
    whole = isinstance(value, float) and value.is_integer() and abs(value) < _UNSURE_FROM
    return "" if value is None else str(int(value) if whole else value).strip()  # type: ignore[arg-type]


class CellFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file that lies in a cell."""

    token: str  # by which ``Table.fetch`` gets it
    name: str
    size_bytes: int | None = None


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One row as it was read."""

    place: str  # where it was; a hint, rows move
    key: str | None  # by which it is found again; None when it bears none yet
    cells: Mapping[str, Json]  # by column key; blank ones are left out
    files: Mapping[str, tuple[CellFile, ...]] = {}  # cells that hold files, not text
    mark: str  # a hash of the row: the same as long as nobody changed any of its cells
    problems: Mapping[str, Trouble] = {}  # by column key: why a cell cannot be read

    def text(self, key: str) -> str:
        """Return a cell as people read it, without outer blanks; "" for an empty one."""
        return as_text(self.cells.get(key))


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """A table as it was at one moment."""

    revision: str  # the same as long as nothing in the table changed
    columns: Columns
    rows: tuple[Row, ...]  # in the order of the table
    is_whole: bool = True  # False: rows that want nothing of us were left out


class ResultFile(msgspec.Struct, frozen=True, kw_only=True):
    """A result on our disk, for a cell."""

    path: Path
    recorded: str  # the path as the ledger writes it; what a table without files shows
    name: str
    sha256: str
    size_bytes: int
    number: int = 1  # its place among the files of its cell
    token: str | None = None  # of an earlier ``Table.upload`` to this document
    link: str | None = None  # where people can open it, for cells that take no such file


#: What a cell is given; None empties it. Moments come as ``local_time`` text. Files replace our
#: files of before and no others.
Value: TypeAlias = str | int | float | tuple[ResultFile, ...] | None


def local_time(moment: datetime) -> str:
    """Return a moment as text, by the clock on the wall."""
    return moment.astimezone().strftime("%Y-%m-%d %H:%M:%S")


#: Picks the row that is meant; None when it is none of these.
Pick: TypeAlias = Callable[[Sequence[Row]], Row | None]


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """Cells to be written into one row."""

    row: Row | str  # as it was read, and still must be; or a key, whatever the row now holds
    cells: Mapping[str, Value]  # by column key; columns that the table lacks are left out
    among: Pick | None = None  # of the rows that bear the key the one that is meant, else the first


class Result(StrEnum):
    """What became of a change."""

    WRITTEN = "written"  #: the cells hold the values, by this write or already before
    GONE = "gone"  #: no row bears the key
    MOVED = "moved"  #: the row is not as it was read, or is elsewhere: read it anew
    REFUSED = "refused"  #: the table will never take these values; ``trouble`` says why
    UNKNOWN_FILES = "unknown_files"  #: the document does not know files of it: see ``unknown``


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a change, and why if it was refused."""

    result: Result
    trouble: Trouble | None = None
    unknown: frozenset[str] = frozenset()  # tokens, one of which at least is not known (any more)


class Level(StrEnum):
    """How a finding of `check` is told."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One line of `check`."""

    level: Level
    trouble: Trouble
