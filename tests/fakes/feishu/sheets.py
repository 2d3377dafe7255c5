"""The fake's Sheets: v3 list of sheets, v2 values and pictures in cells."""

import base64
import io
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from PIL import Image

from tests.fakes.feishu.desk import Desk, Refusal, json_of, success, want
from tests.fakes.feishu.drive import Drive

_RANGE = re.compile(r"([A-Za-z0-9]+)(?:!([A-Z]+)(\d*):([A-Z]+)(\d*))?")
_SUFFIXES = {"png", "jpeg", "jpg", "gif", "bmp", "jfif", "exif", "tiff", "bpg", "heic"}


@dataclass(frozen=True)
class Picture:
    """A picture that lies in a cell."""

    token: str
    width: int
    height: int


@dataclass
class Sheet:
    title: str
    grid: list[list[Any]] = field(default_factory=list)
    sheet_id: str = field(default_factory=lambda: "S" + secrets.token_hex(3))
    resource_type: str = "sheet"
    floating: list[tuple[str, Picture]] = field(default_factory=list)  # cell under its corner


class Book:
    """One spreadsheet and what a person does in it."""

    def __init__(self, desk: Desk, drive: Drive) -> None:
        self.token = f"sht{secrets.token_hex(8)}"
        self.sheets = [Sheet("表一")]
        self.is_shared = True
        self.protected = False
        self.revision = 1
        self.images = 0
        self.cuts_blanks = True  # trailing empty cells and rows are left out of answers
        self.tells_float_ranges = True  # whether it does is not verified
        self._desk, self._drive = desk, drive

    def picture(self, content: bytes, name: str) -> Picture:
        """Return a picture as a person pastes it into a cell."""
        with Image.open(io.BytesIO(content)) as image:
            size = image.size
        return Picture(self._drive.put(content, name, self.token), *size)

    def sheet(self, sheet_id: str) -> Sheet:
        for sheet in self.sheets:
            if sheet.sheet_id == sheet_id:
                return sheet
        raise Refusal(90215, "sheetId not found")

    def set(self, sheet: Sheet, row: int, column: int, value: Any) -> None:
        """Set a cell, counted from 0, and grow the grid to it; a change of its own."""
        self._set(sheet, row, column, value)
        self.revision += 1

    def set_all(self, cells: Sequence[tuple[Sheet, int, int, Any]]) -> None:
        """Set cells by one change."""
        for sheet, row, column, value in cells:
            self._set(sheet, row, column, value)
        self.revision += 1

    def _set(self, sheet: Sheet, row: int, column: int, value: Any) -> None:
        while len(sheet.grid) <= row:
            sheet.grid.append([])
        line = sheet.grid[row]
        line.extend([None] * (column + 1 - len(line)))
        line[column] = value


class SheetsDoor:
    def __init__(self, desk: Desk, drive: Drive) -> None:
        self._desk, self._drive = desk, drive
        self.books: dict[str, Book] = {}

    def new(self) -> Book:
        book = Book(self._desk, self._drive)
        self.books[book.token] = book
        return book

    def routes(self) -> dict[str, tuple[str, str, Any]]:
        v2 = "/open-apis/sheets/v2/spreadsheets/{book}"
        v3 = "/open-apis/sheets/v3/spreadsheets/{book}"
        return {
            "sheets.query": ("GET", v3 + "/sheets/query", self._query),
            "sheets.read": ("GET", v2 + "/values/{range}", self._read),
            "sheets.write": ("POST", v2 + "/values_batch_update", self._write),
            "sheets.floating": ("GET", v3 + "/sheets/{sheet}/float_images/query", self._float),
            "sheets.image": ("POST", v2 + "/values_image", self._image),
        }

    def _book(self, request: web.Request) -> Book:
        book = self.books.get(request.match_info["book"])
        if book is None:
            raise Refusal(91402, "NOTEXIST", 404)
        if not book.is_shared:
            raise Refusal(91403, "FORBIDDEN", 403)
        return book

    async def _query(self, request: web.Request) -> web.Response:
        book = self._book(request)
        sheets = [
            {
                "sheet_id": sheet.sheet_id,
                "title": sheet.title,
                "index": index,
                "hidden": False,
                "resource_type": sheet.resource_type,
                "grid_properties": {
                    "row_count": max(200, len(sheet.grid)),
                    "column_count": max(20, *(len(line) for line in sheet.grid), 0),
                    "frozen_row_count": 0,
                },
            }
            for index, sheet in enumerate(book.sheets)
        ]
        return success({"sheets": sheets})

    async def _float(self, request: web.Request) -> web.Response:
        book = self._book(request)
        sheet = book.sheet(request.match_info["sheet"])
        items = [
            {"float_image_id": f"f{n}", "float_image_token": picture.token}
            | ({"range": f"{sheet.sheet_id}!{cell}:{cell}"} if book.tells_float_ranges else {})
            for n, (cell, picture) in enumerate(sheet.floating)
        ]
        return success({"items": items})

    async def _read(self, request: web.Request) -> web.Response:
        book = self._book(request)
        option = request.query.get("valueRenderOption", "")
        answer = self._range(book, request.match_info["range"], option)
        return success(
            {"revision": book.revision, "spreadsheetToken": book.token, "valueRange": answer}
        )

    def _range(self, book: Book, text: str, option: str) -> dict[str, Any]:
        sheet, top, left, bottom, right = place_of(book, text)
        values = []
        widest = max((len(each) for each in sheet.grid), default=0)
        for row in range(top, min(bottom, len(sheet.grid) - 1) + 1):
            line = sheet.grid[row]
            width = min(right, left + 99, widest - 1)
            cells = [line[c] if c < len(line) else None for c in range(left, width + 1)]
            values.append([self._shown(cell, option) for cell in cells])
        if book.cuts_blanks:
            for line in values:
                while line and line[-1] is None:
                    line.pop()
            while values and not values[-1]:
                values.pop()
        if len(str(values)) > 10 * 1024 * 1024:
            raise Refusal(90221, "TooLargeResponse")
        head = {"range": text, "majorDimension": "ROWS", "revision": book.revision}
        return {**head, "values": values}

    def _shown(self, cell: Any, option: str) -> Any:
        if isinstance(cell, list) and cell and isinstance(cell[0], Picture):
            return [self._shown(each, option) for each in cell]
        if isinstance(cell, Picture):
            return {
                "type": "embed-image",
                "fileToken": cell.token,
                "width": cell.width,
                "height": cell.height,
                "link": "https://internal-api-drive-stream.example/x",
                "text": "",
            }
        if isinstance(cell, str) and cell.startswith("http"):
            return [{"type": "url", "text": cell, "link": cell}]
        return cell

    async def _write(self, request: web.Request) -> web.Response:
        book, body = self._book(request), await json_of(request)
        want(body, "valueRanges")
        if book.protected:
            raise Refusal(90218, "protected")
        cells, responses = [], []
        for each in body["valueRanges"]:
            want(each, "range", "values")
            sheet, top, left, bottom, right = place_of(book, each["range"])
            values = each["values"]
            if len(values) > 5000 or any(len(line) > 100 for line in values):
                raise Refusal(90227, "too much")
            if len(values) > bottom - top + 1 or any(
                len(line) > right - left + 1 for line in values
            ):
                raise Refusal(90202, "wrong range")
            for r, line in enumerate(values):
                for c, value in enumerate(line):
                    self._check(value)
                    cells.append((sheet, top + r, left + c, value))
            responses.append({"updatedRange": each["range"], "updatedCells": len(values)})
        await self._desk.writing(book.token, 90235)
        book.set_all([(s, row, column, None if v == "" else v) for s, row, column, v in cells])
        return success({"revision": book.revision, "responses": responses})

    def _check(self, value: Any) -> None:
        if isinstance(value, str) and len(value) > 50_000:
            raise Refusal(90222, "cell too large")
        if isinstance(value, dict) and value.get("type") not in ("url", "mention", "formula"):
            raise Refusal(90204, "wrong request body")

    async def _image(self, request: web.Request) -> web.Response:
        book, body = self._book(request), await json_of(request)
        want(body, "range", "image", "name")
        sheet, top, left, bottom, right = place_of(book, body["range"])
        if (top, left) != (bottom, right):
            raise Refusal(90202, "one cell only")
        if body["name"].rpartition(".")[2].lower() not in _SUFFIXES:
            raise Refusal(90204, "the format is not supported")
        given = body["image"]
        content = (
            bytes(given) if isinstance(given, list) else base64.b64decode(given, validate=True)
        )
        if content[8:12] == b"WEBP":
            raise Refusal(90204, "the format is not supported")
        if book.images >= 4000:
            raise Refusal(1310247, "too many images")
        await self._desk.writing(book.token, 90235)
        book.images += 1
        book.set(sheet, top, left, book.picture(content, body["name"]))
        return success({"revision": book.revision, "updateRange": body["range"]})


def place_of(book: Book, text: str) -> tuple[Sheet, int, int, int, int]:
    """Return sheet, top, left, bottom, right of a range, counted from 0."""
    found = _RANGE.fullmatch(text)
    if found is None:
        raise Refusal(90202, f"wrong range {text}")
    sheet = book.sheet(found[1])
    if found[2] is None:
        return sheet, 0, 0, 10**6, 10**4
    top = int(found[3] or 1) - 1
    bottom = int(found[5]) - 1 if found[5] else 10**6
    return sheet, top, number_of(found[2]), bottom, number_of(found[4])


def number_of(letters: str) -> int:
    number = 0
    for letter in letters:
        number = number * 26 + ord(letter) - ord("A") + 1
    return number - 1


def lines(grid: Sequence[Sequence[Any]]) -> list[list[Any]]:
    return [list(line) for line in grid]
