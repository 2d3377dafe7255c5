"""The bytes of an ``.xlsx`` workbook → the rows of one of its sheets; pure, in bounded memory."""

import io
import zipfile
from collections.abc import Iterable, Iterator, Sequence

import openpyxl
from openpyxl.cell.cell import ERROR_CODES
from openpyxl.utils import get_column_letter
from openpyxl.utils.exceptions import InvalidFileException

from daemon.intake.errors import Unreadable
from daemon.intake.grid import MAX_COLUMNS, JobFile, Line, read_grid
from daemon.intake.reasons import Reason, because
from daemon.tables.xlsx_cells import MAX_UNPACKED_BYTES, as_json

#: They are held in memory.
MAX_SHARED_TEXT_BYTES = 64 * 1024 * 1024
#: A cell takes 32,767 characters; one of some 100 MB packs to nothing and unpacks to gigabytes.
_SCANNED_BYTES = 1024 * 1024
#: A page of instructions may come before the rows.
SHEETS_LOOKED_AT = 10
MAX_SHEET_LINES = 1_048_576  # Excel's own limit; a forged line number would count for ever


def read_workbook(data: bytes, known: frozenset[str]) -> JobFile:
    """Return the rows of the first sheet that is shown and has a *known* column.

    Dates become ISO text, formulas their stored results. Raises Unreadable for what is no workbook
    or unpacks to too much.
    """
    try:
        has_formulas = _look_inside(data)
        return _first_that_fits(data, known, has_formulas=has_formulas)
    except Unreadable:
        raise
    except (zipfile.BadZipFile, InvalidFileException) as error:
        raise Unreadable("no_workbook", said=str(error)) from error
    except Exception as error:
        # openpyxl answers a damaged workbook with nearly every kind of exception there is
        said = f"{type(error).__name__}: {str(error)[:200]}"
        raise Unreadable("damaged_workbook", said=said) from error


def _first_that_fits(data: bytes, known: frozenset[str], *, has_formulas: bool) -> JobFile:
    first: Unreadable | None = None
    for place in range(SHEETS_LOOKED_AT):
        values = _lines(data, place, data_only=True)
        lines = _without_formulas(values)
        if has_formulas:
            lines = _with_formulas(values, _lines(data, place, data_only=False))
        try:
            return read_grid(lines, known)
        except _NoMoreSheets:
            break
        except Unreadable as error:
            if error.reason.code not in {"strange_columns", "no_headings"}:
                raise
            first = first or error
    raise first or Unreadable("no_cells")


class _NoMoreSheets(Exception):
    """A workbook has no such sheet."""


def _look_inside(data: bytes) -> bool:
    """Refuse what unpacks to too much; say whether the sheets hold formulas."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        parts = archive.infolist()
        shared = sum(p.file_size for p in parts if p.filename.lower().endswith("strings.xml"))
        if sum(p.file_size for p in parts) > MAX_UNPACKED_BYTES or shared > MAX_SHARED_TEXT_BYTES:
            raise Unreadable("unpacks_too_far")
        sheets = [part for part in parts if "/worksheets/" in part.filename]
        found = [_holds_formula(archive, part) for part in sheets]  # every sheet is looked into
        return any(found)


def _holds_formula(archive: zipfile.ZipFile, part: zipfile.ZipInfo) -> bool:
    found, tail = False, b""
    with archive.open(part) as stream:
        while chunk := stream.read(_SCANNED_BYTES):
            if len(chunk) == _SCANNED_BYTES and b"<" not in chunk:
                raise Unreadable("long_cell")
            found = found or b"<f>" in tail + chunk or b"<f " in tail + chunk
            tail = chunk[-3:]
    return found


def _lines(data: bytes, place: int, *, data_only: bool) -> Iterator[Sequence[object]]:
    """Yield the lines of the sheet at *place*, from 0, among those that are shown."""
    book = openpyxl.load_workbook(io.BytesIO(data), read_only=True, data_only=data_only)
    try:
        shown = [sheet for sheet in book.worksheets if sheet.sheet_state == "visible"]
        if place >= len(shown):
            raise _NoMoreSheets
        sheet = shown[place]
        sheet.reset_dimensions()  # the declared size may be forged or forgotten
        for number, cells in enumerate(sheet.iter_rows(values_only=True), 1):
            if number > MAX_SHEET_LINES:
                raise Unreadable("many_lines")
            if len(cells) > MAX_COLUMNS and any(c is not None for c in cells[MAX_COLUMNS:]):
                raise Unreadable("many_columns", limit=str(MAX_COLUMNS))
            yield cells[:MAX_COLUMNS]
    finally:
        book.close()


def _without_formulas(values: Iterable[Sequence[object]]) -> Iterator[Line]:
    for number, cells in enumerate(values, 1):
        yield Line(number, [as_json(cell) for cell in cells], dict(_errors_in(cells, number)))


def _with_formulas(
    values: Iterable[Sequence[object]], formulas: Iterable[Sequence[object]]
) -> Iterator[Line]:
    for number, (cells, written) in enumerate(zip(values, formulas, strict=True), 1):
        problems = dict(_errors_in(cells, number))
        for column, (cell, source) in enumerate(zip(cells, written, strict=False)):
            if cell is None and source is not None:
                problems[column] = because("no_result", cell=_place(column, number))
        yield Line(number, [as_json(cell) for cell in cells], problems)


def _errors_in(cells: Sequence[object], number: int) -> Iterator[tuple[int, Reason]]:
    for column, cell in enumerate(cells):
        if isinstance(cell, str) and cell in ERROR_CODES:
            yield column, because("error_value", cell=_place(column, number), error=cell)


def _place(column: int, number: int) -> str:
    return f"{get_column_letter(column + 1)}{number}"
