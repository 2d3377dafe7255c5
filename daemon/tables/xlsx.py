"""XLSX: a workbook's sheet ↔ lines of cells; pure.

openpyxl only reads: after its load and save, stored results of formulas and WPS's in-cell pictures
are gone. So cells are changed in the sheet's XML, and every other part of the zip is copied.
"""

import hashlib
import io
import zipfile
from collections.abc import Iterator, Mapping, Sequence

import openpyxl
from openpyxl.cell.cell import ERROR_CODES

from daemon.tables.cells import CellFile
from daemon.tables.errors import Misconfigured, TableError, Trouble
from daemon.tables.grid import GridLine, Plain, Spot
from daemon.tables.sheet_xml import MAX_CELL_CHARACTERS, SheetXml, column_letters
from daemon.tables.workbook_parts import find_sheet
from daemon.tables.xlsx_cells import MAX_UNPACKED_BYTES, as_json
from daemon.tables.xlsx_pictures import Pictures, find_pictures
from ledger.task import Json

MAX_BYTES = 128 * 1024 * 1024


class XlsxGrid:
    """One sheet of a workbook, read. ``parse_xlsx`` makes it."""

    def __init__(self, data: bytes, sheet: str) -> None:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            if sum(part.file_size for part in archive.infolist()) > MAX_UNPACKED_BYTES:
                raise Misconfigured("too_big", limit=f"{MAX_UNPACKED_BYTES // 1024**2} MiB")
            title, self._part = find_sheet(archive, sheet)
            self._xml = SheetXml(archive.read(self._part))
            self._pictures: Pictures = find_pictures(archive, self._part)
        self._data = data
        self.headings: Sequence[str] = ()
        self.lines: Sequence[GridLine] = ()
        self._heading_row = 0
        self._read(title)

    def refusal(self, spot: Spot, value: Plain) -> Trouble | None:
        """Return why the cell cannot be given *value*: a formula, hidden by a merge, too long."""
        line, column = spot
        number = self.lines[line].number
        row = self._xml.rows.get(number)
        place = {"cell": f"{column_letters(column)}{number}"}
        if row is not None and column in row.cells and row.cells[column].has_formula:
            return Trouble(code="xlsx_formula", values=place)
        if (number, column) in self._xml.covered:
            return Trouble(code="xlsx_merged", values=place)
        if len(str(value)) > MAX_CELL_CHARACTERS:
            return Trouble(code="cell_too_long", values={"limit": str(MAX_CELL_CHARACTERS)})
        return None

    def rewritten(self, cells: Mapping[Spot, Plain], headings: Sequence[str]) -> bytes:
        """Return the workbook with these cells changed and *headings* added behind the last."""
        changed = {
            (self.lines[line].number, column): value for (line, column), value in cells.items()
        }
        first = len(self.headings)
        changed |= {(self._heading_row, first + place): text for place, text in enumerate(headings)}
        return _with_part(self._data, self._part, self._xml.rewritten(changed))

    def file(self, token: str) -> bytes:
        """Return the bytes of a picture that lies in a cell; raises KeyError."""
        with zipfile.ZipFile(io.BytesIO(self._data)) as archive:
            return archive.read(token)

    def _read(self, title: str) -> None:
        lines: list[GridLine] = []
        for number, values in enumerate(_values(self._data, title), start=1):
            cells = [as_json(value) for value in values]
            while cells and cells[-1] in (None, ""):
                cells.pop()
            files = self._pictures.get(number, {})
            if not cells and not files:
                continue
            if not self._heading_row:
                self._heading_row = number
                self.headings = ["" if cell is None else str(cell) for cell in cells]
                continue
            lines.append(self._line(number, cells, files))
        self.lines = lines

    def _line(
        self, number: int, cells: list[Json], files: Mapping[int, tuple[CellFile, ...]]
    ) -> GridLine:
        told = repr((cells, [(place, each) for place, each in sorted(files.items())]))
        return GridLine(
            number=number,
            cells=cells,
            mark=hashlib.blake2b(told.encode("utf-8", "replace"), digest_size=16).hexdigest(),
            files=files,
            problems=dict(self._problems(number, cells, files)),
        )

    def _problems(
        self, number: int, cells: Sequence[Json], files: Mapping[int, object]
    ) -> Iterator[tuple[int, Trouble]]:
        """Yield which cells cannot be read: an error, a formula without a stored result."""
        row = self._xml.rows.get(number)
        for column, span in row.cells.items() if row is not None else ():
            value = cells[column] if column < len(cells) else None
            place = f"{column_letters(column)}{number}"
            if column in files:
                continue
            if isinstance(value, str) and value in ERROR_CODES:
                yield column, Trouble(code="xlsx_error", values={"cell": place, "error": value})
            elif value is None and span.has_formula:
                yield column, Trouble(code="xlsx_no_result", values={"cell": place})


def parse_xlsx(data: bytes, sheet: str) -> XlsxGrid:
    """Return the sheet called *sheet*, or the first; raises Misconfigured with the reason."""
    if len(data) > MAX_BYTES:
        raise Misconfigured("too_big", limit=f"{MAX_BYTES // 1024**2} MiB")
    try:
        grid = XlsxGrid(data, sheet)
    except TableError:
        raise
    except Exception as error:
        # openpyxl and zipfile answer a damaged workbook with nearly every exception there is
        raise Misconfigured("xlsx_damaged", reason=str(error)[:200]) from error
    if not grid.headings:
        raise Misconfigured("empty")
    return grid


def _values(data: bytes, title: str) -> Iterator[Sequence[object]]:
    book = openpyxl.load_workbook(io.BytesIO(data), read_only=True, data_only=True)
    try:
        sheet = book[title]
        sheet.reset_dimensions()  # the declared size may be forgotten
        yield from sheet.iter_rows(values_only=True)
    finally:
        book.close()


def _with_part(data: bytes, name: str, part: bytes) -> bytes:
    """Return the zip *data* with another content of one part; all others keep theirs."""
    made = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(made, "w") as new:
        for info in old.infolist():
            content = part if info.filename == name else old.read(info)
            new.writestr(info, content, info.compress_type, compresslevel=1)
    return made.getvalue()
