"""What of a change must be written into a sheet: the cells that do not hold it yet; pure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from daemon.tables.cells import Change, Outcome, Result, ResultFile, Value, as_text
from daemon.tables.columns import Columns, Naming
from daemon.tables.errors import Trouble
from daemon.tables.feishu_pictures import is_picture
from daemon.tables.grid import GridLine
from daemon.tables.places import cell_of

if TYPE_CHECKING:
    from daemon.feishu.json import Json

#: Documented for one cell.
CELL_CHARACTERS = 50_000
#: Begins what stands for a picture whose token the sheet did not tell.
PUT = "put:"


@dataclass
class SheetPlan:
    """A change, what becomes of it, and by column what to write and which pictures to put."""

    change: Change
    outcome: Outcome
    line: GridLine | None = None
    cells: dict[int, "Json"] = field(default_factory=dict)
    pictures: dict[int, ResultFile] = field(default_factory=dict)


def plan(
    change: Change,
    line: GridLine,
    columns: Columns,
    naming: Naming,
    put: Callable[[str], str | None],
) -> SheetPlan:
    """Return what *line* does not hold yet of *change*; columns that the sheet lacks are left out.

    *put* tells the token of a picture (by sha256) that this process put into the row.
    """
    made = SheetPlan(change, Outcome(result=Result.WRITTEN), line)
    for key, value in change.cells.items():
        files = value if isinstance(value, tuple) else ()
        if isinstance(value, tuple) and (not files or is_picture(files[0].path)):
            _plan_pictures(made, line, picture_columns(key, columns, naming), files, put)
        elif (column := columns.found.get(key)) is not None:
            trouble = _plan_value(made, line, column, value)
            if trouble is not None:
                return SheetPlan(change, Outcome(result=Result.REFUSED, trouble=trouble), line)
    return made


def picture_columns(key: str, columns: Columns, naming: Naming) -> list[int]:
    """Return where pictures go, in order: under the key's heading, then 输出图片2 and so on."""
    found = [columns.found[key]] if key in columns else []
    heading = columns.headings.get(key, naming.heading_of(key))
    while found:
        more = columns.found.get(naming.key_of(f"{heading}{len(found) + 1}"))
        if more is None:
            break
        found.append(more)
    return found


def _plan_pictures(
    made: SheetPlan,
    line: GridLine,
    places: Sequence[int],
    files: Sequence[ResultFile],
    put: Callable[[str], str | None],
) -> None:
    """Plan one picture a column; columns that are left over are emptied of pictures."""
    for number, column in enumerate(places):
        there = [file.token for file in line.files.get(column, ())]
        if number >= len(files):
            if there:
                made.cells[column] = ""
            continue
        file = files[number]
        known = {token for token in (file.token, put(file.sha256)) if token}
        told = any(token.startswith(PUT) for token in known)
        if not known.intersection(there) and not (told and there):
            made.pictures[column] = file


def _plan_value(made: SheetPlan, line: GridLine, column: int, value: Value) -> Trouble | None:
    wanted: Json = _told(value)
    text = wanted["text"] if isinstance(wanted, dict) else wanted
    if len(as_text(text)) > CELL_CHARACTERS:
        return Trouble(code="feishu_cell_too_large", values={"number": str(CELL_CHARACTERS)})
    if as_text(cell_of(line, column)) != as_text(text) or column in line.files:
        made.cells[column] = wanted
    return None


def _told(value: Value) -> "Json":
    """Return what the cell is given: a video as a link, for no cell takes one."""
    if not isinstance(value, tuple):
        return "" if value is None else value
    if len(value) == 1 and value[0].link:
        return {"type": "url", "text": value[0].recorded, "link": value[0].link}
    return "; ".join(file.link or file.recorded for file in value)
