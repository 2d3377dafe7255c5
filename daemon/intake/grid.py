"""A grid of cells under a line of headings → rows; what CSV and XLSX have in common."""

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from daemon.intake.columns import REPORT_COLUMNS, bare_heading, key_of, tidy
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


class Line(msgspec.Struct, frozen=True):
    """One line of a grid, with what is wrong with its cells, if anything."""

    number: int  # as an editor or Excel counts; of several lines, the first
    cells: Sequence[Json]
    problems: Mapping[int, Reason] = {}  # by column, from 0


def read_grid(lines: Iterable[Line], known: frozenset[str]) -> JobFile:
    """Return the rows under the first line that is not blank.

    What is wrong with a cell refuses its row only in a column that is *known*.
    Raises Unreadable when there is no such line, none of its headings is *known*, two of them
    mean the same, or there are more than MAX_ROWS rows or MAX_COLUMNS columns.
    """
    keys: list[str] | None = None
    headings: dict[str, str] = {}
    rows: list[RawRow] = []
    for line in lines:
        if len(line.cells) > MAX_COLUMNS:
            raise Unreadable("many_columns", limit=str(MAX_COLUMNS))
        cells = [tidy(cell) for cell in line.cells]
        if keys is None:
            if not _is_blank(cells):
                keys, headings = _read_headings(cells)
                refuse_strange_columns(keys, headings.values(), known)
            continue
        cells, problem = _without_idle_problems(cells, line.problems, keys, known)
        if _is_blank(cells) and problem is None:
            continue
        if len(rows) >= MAX_ROWS:
            raise Unreadable("many_rows", limit=str(MAX_ROWS))
        values, problem = _read_cells(keys, cells, problem)
        row = RawRow(line=line.number, ordinal=len(rows) + 1, values=values, problem=problem)
        rows.append(row)
    if keys is None:
        raise Unreadable("no_headings")
    return JobFile(rows=tuple(rows), headings=headings)


def refuse_strange_columns(
    keys: Iterable[str], found: Iterable[str], known: frozenset[str]
) -> None:
    """Raise Unreadable when none of *keys* is known; *found* is how the file calls them."""
    if known.intersection(keys):
        return
    wanted = tuple(map(shown, ("product_name", "workflow_type", "product_image")))
    listed = ", ".join(f"“{cut(name, _HEADING_SHOWN)}”" for name in list(found)[:10]) or "–"
    raise Unreadable("strange_columns", found=listed, wanted=wanted)


def _read_headings(cells: Sequence[Json]) -> tuple[list[str], dict[str, str]]:
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
    return keys, headings


def _is_blank(cells: Iterable[Json]) -> bool:
    return all(cell in (None, "") for cell in cells)


def _without_idle_problems(
    cells: list[Json], problems: Mapping[int, Reason], keys: Sequence[str], known: frozenset[str]
) -> tuple[list[Json], Reason | None]:
    """Return the first problem in a column with a use, and the cells without those of the others.

    An error that nobody reads is no value: the same row may come again with another one there.
    """
    if not problems:
        return cells, None
    used = {c: why for c, why in problems.items() if c < len(keys) and keys[c] in known}
    left = [None if c in problems and c not in used else cell for c, cell in enumerate(cells)]
    return left, used[min(used)] if used else None


def _read_cells(
    keys: list[str], cells: list[Json], problem: Reason | None
) -> tuple[dict[str, Json], Reason | None]:
    values: dict[str, Json] = {
        key: cell
        for key, cell in zip(keys, cells, strict=False)
        if key and key not in REPORT_COLUMNS and cell not in (None, "")
    }
    if not problem and _has_nameless(keys, cells):
        problem = because("no_heading")
    return values, problem


def _has_nameless(keys: list[str], cells: list[Json]) -> bool:
    """Say whether something stands under no heading."""
    if len(cells) <= len(keys) and "" not in keys:
        return False
    nameless = [cell for key, cell in zip(keys, cells, strict=False) if not key]
    return not _is_blank([*cells[len(keys) :], *nameless])
