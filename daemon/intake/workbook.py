"""The bytes of an ``.xlsx`` workbook → the rows of one of its sheets; pure, in bounded memory."""

import io
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

import msgspec
import openpyxl
from openpyxl.cell.cell import ERROR_CODES
from openpyxl.utils import get_column_letter
from openpyxl.utils.exceptions import InvalidFileException

from daemon.intake.columns import tidy
from daemon.intake.errors import Unreadable
from daemon.intake.grid import MAX_COLUMNS, JobFile, Line, RawRow, read_grid
from daemon.intake.merged_cells import covered_in, told
from daemon.intake.reasons import Reason, because, cut
from daemon.tables.xlsx_cells import MAX_UNPACKED_BYTES, as_json

#: They are held in memory.
MAX_SHARED_TEXT_BYTES = 64 * 1024 * 1024
#: A cell takes 32,767 characters; one of some 100 MB packs to nothing and unpacks to gigabytes.
_SCANNED_BYTES = 1024 * 1024
#: A page of instructions may come before the rows.
SHEETS_LOOKED_AT = 10
#: Of another sheet: whether there are headings that we know, and a row below them.
BEGINNING_LINES = 200
MAX_SHEET_LINES = 1_048_576  # Excel's own limit; a forged line number would count for ever


def read_workbook(data: bytes, known: frozenset[str]) -> JobFile:
    """Return the rows of the first sheet that is shown, has a *known* column, and rows.

    Hidden rows are among them. Another sheet with rows is told by a row that has a problem. Dates
    become ISO text, formulas their stored results. Raises Unreadable for what is no workbook or
    unpacks to too much.
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
    titles = _shown_titles(data)
    for place, title in enumerate(titles):
        values = _lines(data, title, data_only=True)
        lines = _without_formulas(values)
        if has_formulas:
            lines = _with_formulas(values, _lines(data, title, data_only=False))
        try:
            job = read_grid(told(lines, covered_in(data, title)), known)
        except Unreadable as error:
            if error.reason.code not in {"strange_columns", "no_headings"}:
                raise
            first = first or error
            continue
        if job.rows:
            return _with_left_out(job, data, titles[place + 1 :], known)
        first = first or Unreadable("no_rows")
    raise first or Unreadable("no_cells")


def _with_left_out(
    job: JobFile, data: bytes, titles: Sequence[str], known: frozenset[str]
) -> JobFile:
    """Return *job* with a row for each other sheet that holds rows, too, saying that it does."""
    rows = list(job.rows)
    for title in titles:
        lines = islice(_without_formulas(_lines(data, title, data_only=True)), BEGINNING_LINES)
        try:
            found = read_grid(lines, known).rows
        except Unreadable:  # no sheet of rows
            continue
        if found:
            why = because("other_sheet", sheet=cut(title))
            line, ordinal = found[0].line, len(rows) + 1
            rows.append(RawRow(line=line, ordinal=ordinal, values={}, problem=why))
    return msgspec.structs.replace(job, rows=tuple(rows))


def _shown_titles(data: bytes) -> list[str]:
    """Return what the first sheets that are shown are called, ``SHEETS_LOOKED_AT`` at most."""
    book = openpyxl.load_workbook(io.BytesIO(data), read_only=True)
    try:
        shown = [sheet.title for sheet in book.worksheets if sheet.sheet_state == "visible"]
    finally:
        book.close()
    return shown[:SHEETS_LOOKED_AT]


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


def _lines(data: bytes, title: str, *, data_only: bool) -> Iterator[Sequence[object]]:
    """Yield the lines of the sheet *title*."""
    book = openpyxl.load_workbook(io.BytesIO(data), read_only=True, data_only=data_only)
    try:
        sheet = book[title]
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
        yield Line(number, [tidy(as_json(cell)) for cell in cells], dict(_errors_in(cells, number)))


def _with_formulas(
    values: Iterable[Sequence[object]], formulas: Iterable[Sequence[object]]
) -> Iterator[Line]:
    for number, (cells, written) in enumerate(zip(values, formulas, strict=True), 1):
        problems = dict(_errors_in(cells, number))
        for column, (cell, source) in enumerate(zip(cells, written, strict=False)):
            if cell is None and source is not None:
                problems[column] = because("no_result", cell=_place(column, number))
        yield Line(number, [tidy(as_json(cell)) for cell in cells], problems)


def _errors_in(cells: Sequence[object], number: int) -> Iterator[tuple[int, Reason]]:
    for column, cell in enumerate(cells):
        if isinstance(cell, str) and cell in ERROR_CODES:
            yield column, because("error_value", cell=_place(column, number), error=cell)


def _place(column: int, number: int) -> str:
    return f"{get_column_letter(column + 1)}{number}"
