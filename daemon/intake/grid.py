"""A grid of cells under a line of headings → rows; what CSV and XLSX have in common."""

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from daemon.intake.columns import REPORT_COLUMNS, bare_heading, key_of
from daemon.intake.errors import Unreadable
from daemon.intake.reasons import Reason, because, cut, shown
from ledger.task import Json

MAX_ROWS = 100_000
MAX_COLUMNS = 500
#: So many characters of an unknown heading are told, in the log, too: a token by mistake in the
#: inbox stays secret.
_HEADING_SHOWN = 20


class RawRow(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One row as it stood in the file: cells by key, tidy (see ``tidy``), blank ones left out."""

    line: int  # where it begins, as an editor or Excel counts; of a list of JSON, which item
    ordinal: int  # 1 = first row of data, blank rows not counted
    values: dict[str, Json]
    problem: Reason | None = None  # why it cannot be read; then the values are what could be


class JobFile(msgspec.Struct, frozen=True, kw_only=True):
    """What a job file says."""

    rows: tuple[RawRow, ...]
    options: dict[str, Json] = msgspec.field(default_factory=dict)
    headings: dict[str, str] = msgspec.field(default_factory=dict)  # key → as the file has it


class Line(msgspec.Struct, frozen=True, gc=False):
    """One line of a grid, with what is wrong with its cells, if anything."""

    number: int  # as an editor or Excel counts; of several lines, the first
    cells: Sequence[Json]  # tidy
    problems: Mapping[int, Reason] | None = None  # by column, from 0


def read_grid(lines: Iterable[Line], known: frozenset[str]) -> JobFile:
    """Return the rows under the first line that is not blank.

    What is wrong with a cell refuses its row only in a column that is *known*.
    Raises Unreadable when there is no such line, none of its headings is *known*, two of them
    mean the same, or there are more than MAX_ROWS rows or MAX_COLUMNS columns.
    """
    head: _Head | None = None
    rows: list[RawRow] = []
    for line in lines:
        cells, problem = line.cells, None
        if len(cells) > MAX_COLUMNS:
            raise Unreadable("many_columns", limit=str(MAX_COLUMNS))
        if head is None:
            if not _is_blank(cells):
                head = _read_headings(cells)
                refuse_strange_columns(head.keys, head.headings.values(), known)
            continue
        if line.problems:
            cells, problem = _without_idle_problems(cells, line.problems, head.keys, known)
        values = head.values(cells)
        if not values and problem is None and _is_blank(cells):
            continue
        if len(rows) >= MAX_ROWS:
            raise Unreadable("many_rows", limit=str(MAX_ROWS))
        if problem is None and head.is_nameless_in(cells):
            problem = because("no_heading")
        row = RawRow(line=line.number, ordinal=len(rows) + 1, values=values, problem=problem)
        rows.append(row)
    if head is None:
        raise Unreadable("no_headings")
    return JobFile(rows=tuple(rows), headings=head.headings)


def refuse_strange_columns(
    keys: Iterable[str], found: Iterable[str], known: frozenset[str]
) -> None:
    """Raise Unreadable when none of *keys* is known; *found* is how the file calls them."""
    if known.intersection(keys):
        return
    wanted = tuple(map(shown, ("product_name", "workflow_type", "product_image")))
    listed = ", ".join(f"“{cut(name, _HEADING_SHOWN)}”" for name in list(found)[:10]) or "–"
    raise Unreadable("strange_columns", found=listed, wanted=wanted)


class _Head(msgspec.Struct, frozen=True):
    """The line of headings."""

    keys: list[str]  # "" where there is none
    headings: dict[str, str]  # key → as the file has it
    read: list[str]  # the keys, "" also where our own reports add something
    nameless: list[int]  # where there is none

    def values(self, cells: Sequence[Json]) -> dict[str, Json]:
        """Return what *cells* say, by key."""
        return {
            key: cell
            for key, cell in zip(self.read, cells, strict=False)
            if key and cell is not None and cell != ""
        }

    def is_nameless_in(self, cells: Sequence[Json]) -> bool:
        """Say whether something stands under no heading."""
        if len(cells) <= len(self.keys) and not self.nameless:
            return False
        nameless = [cells[column] for column in self.nameless if column < len(cells)]
        return not _is_blank([*cells[len(self.keys) :], *nameless])


def _read_headings(cells: Sequence[Json]) -> _Head:
    headings: dict[str, str] = {}
    keys: list[str] = []
    for cell in cells:
        heading = "" if cell is None else str(cell)
        key = key_of(heading)
        if key and key in headings:
            both = {"one": headings[key], "other": heading}
            raise Unreadable("doubled_column", column=shown(key), **both)
        keys.append(key)
        if key:
            headings[key] = bare_heading(heading)
    read = ["" if key in REPORT_COLUMNS else key for key in keys]
    nameless = [column for column, key in enumerate(keys) if not key]
    return _Head(keys, headings, read, nameless)


def _is_blank(cells: Iterable[Json]) -> bool:
    return all(cell in (None, "") for cell in cells)


def _without_idle_problems(
    cells: Sequence[Json],
    problems: Mapping[int, Reason],
    keys: Sequence[str],
    known: frozenset[str],
) -> tuple[list[Json], Reason | None]:
    """Return the cells without idle problems, and the first problem in a column with a use.

    An error that nobody reads is no value: the same row may come again with another one there.
    """
    used = {c: why for c, why in problems.items() if c < len(keys) and keys[c] in known}
    left = [None if c in problems and c not in used else cell for c, cell in enumerate(cells)]
    return left, used[min(used)] if used else None
