"""Sheets: v3 for the list of sheets, v2 for values and pictures in cells.

Rows have no id of their own and move when users sort, insert or delete; whoever writes finds its
row anew just before. Rows and columns are told as on the screen: row 1, column "A". Documented
limits: 5,000 rows and 100 columns a write, 10 MB an answer, 50,000 characters a cell.
"""

import base64
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import msgspec

from daemon import failpoint
from daemon.feishu.client import Api, Client
from daemon.feishu.json import Json

_V2 = "/open-apis/sheets/v2/spreadsheets/{spreadsheet}"
_V3 = "/open-apis/sheets/v3/spreadsheets/{spreadsheet}"
_SHEETS = Api("sheets.query", "GET", _V3 + "/sheets/query")
_READ = Api("sheets.read", "GET", _V2 + "/values/{range}")
_WRITE = Api("sheets.write", "POST", _V2 + "/values_batch_update")
_FLOATING = Api("sheets.floating", "GET", _V3 + "/sheets/{sheet}/float_images/query")
_IMAGE = Api("sheets.image", "POST", _V2 + "/values_image")

_CORNER = re.compile(r"!([A-Z]+)(\d+)")
#: Larger pictures are refused by the official command line; the server's own limit is not told.
IMAGE_BYTES = 20 * 1024 * 1024
#: More ranges than this in one write are sent in portions; the limit counts rows and columns.
WRITE_CELLS = 2000


class Grid(msgspec.Struct, frozen=True):
    """How large a sheet is, empty rows and columns counted."""

    row_count: int = 0
    column_count: int = 0


class Sheet(msgspec.Struct, frozen=True):
    """One tab; a tab can also be an embedded Bitable."""

    sheet_id: str
    title: str = ""
    index: int = 0
    hidden: bool = False
    resource_type: str = "sheet"
    grid_properties: Grid | None = None


class _Sheets(msgspec.Struct, frozen=True):
    sheets: tuple[Sheet, ...] = ()


class FloatingImage(msgspec.Struct, frozen=True):
    """A picture that lies above the cells; the values of a sheet do not tell of it.

    That *range* names the cell under its upper left corner is remembered, not verified.
    """

    float_image_token: str = ""
    range: str = ""

    def corner(self) -> tuple[int, int] | None:
        """Return row (as on the screen) and column (0 = A) of its corner, None when not told."""
        found = _CORNER.search(self.range)
        return (int(found[2]), column_index(found[1])) if found else None


class _Floating(msgspec.Struct, frozen=True):
    items: tuple[FloatingImage, ...] = ()


class ValueRange(msgspec.Struct, frozen=True):
    """A rectangle of cells; rows may be short, empty cells are None."""

    values: tuple[tuple[Json, ...] | None, ...] | None = None
    revision: int = 0

    def rows(self) -> list[list[Json]]:
        """Return the cells row by row."""
        return [list(row or ()) for row in self.values or ()]


class _Read(msgspec.Struct, frozen=True, rename="camel"):
    value_range: ValueRange
    revision: int = 0


class _Changed(msgspec.Struct, frozen=True):
    revision: int = 0


class Spreadsheet:
    """One spreadsheet. Every method raises FeishuError."""

    def __init__(self, client: Client, token: str) -> None:
        self._client = client
        self._watched_from: int | None = None  # the revision of the first reading watched
        self._revision = 0  # as the last answer told it
        self._own_writes = 0  # since then
        self.token = token
        self._path = {"spreadsheet": token}

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[None]:
        """Hold the only right to write here; rows found inside stay where they are, for us."""
        async with self._client.limits.writing(self.token):
            yield

    def watch(self) -> None:
        """Have ``is_undisturbed`` tell what happens from the next reading on."""
        self._watched_from = None

    @property
    def is_undisturbed(self) -> bool:
        """Whether it is sure that nobody else changed the document since the reading watched.

        That each write of ours raises the revision by one is remembered, not verified: where it
        does not, nothing is ever sure, and who must know spends a call on looking.
        """
        known = self._watched_from or 0  # no revision is told as 0
        return known > 0 and self._revision == known + self._own_writes

    async def sheets(self) -> tuple[Sheet, ...]:
        """Return the tabs; at most 100 times a minute, so callers keep the answer."""
        return (await self._client.call(_SHEETS, _Sheets, path=self._path)).sheets

    async def read(self, place: str) -> list[list[Json]]:
        """Return the cells of a range such as ``Q7PlXT!A1:J500``, row by row.

        Without a render option, as in the official example of pictures in cells: numbers are
        numbers, dates are days since 1899-12-30, formulas are their text.
        """
        path = {**self._path, "range": place}
        answer = await self._client.call(_READ, _Read, path=path)
        self._revision = answer.revision
        if self._watched_from is None:
            self._watched_from, self._own_writes = answer.revision, 0
        return answer.value_range.rows()

    async def floating_images(self, sheet_id: str) -> tuple[FloatingImage, ...]:
        """Return the pictures that float above the cells; at most 100 times a minute."""
        path = {**self._path, "sheet": sheet_id}
        return (await self._client.call(_FLOATING, _Floating, path=path)).items

    async def write(self, cells: Mapping[str, Json]) -> None:
        """Set single cells, given as range (``Q7PlXT!H12:H12``) and value; others stay."""
        places = list(cells)
        for start in range(0, len(places), WRITE_CELLS):
            some = places[start : start + WRITE_CELLS]
            ranges = [{"range": place, "values": [[cells[place]]]} for place in some]
            body = msgspec.json.encode({"valueRanges": ranges})
            failpoint.reach("feishu.write.before")
            answer = await self._client.call(_WRITE, _Changed, path=self._path, body=body)
            self._note_write(answer)
            failpoint.reach("feishu.write.after")

    async def write_image(self, place: str, content: bytes, name: str) -> None:
        """Put a picture into one cell; *name* ends in its format, and WEBP is none that is taken.

        At most 4,000 different pictures fit into one spreadsheet (1310247).
        """
        image = base64.b64encode(content).decode("ascii")
        body = msgspec.json.encode({"range": place, "image": image, "name": name})
        failpoint.reach("feishu.image.before")
        answer = await self._client.call(_IMAGE, _Changed, path=self._path, body=body)
        self._note_write(answer)
        failpoint.reach("feishu.image.after")

    def _note_write(self, answer: _Changed) -> None:
        self._revision = answer.revision
        self._own_writes += 1


def column_index(letters: str) -> int:
    """Return the index of a column by its letters, A = 0, AA = 26."""
    index = 0
    for letter in letters:
        index = index * 26 + ord(letter) - ord("A") + 1
    return index - 1


def column_letters(index: int) -> str:
    """Return the letters of column *index*, 0 = A, 26 = AA."""
    letters = ""
    index += 1
    while index:
        index, digit = divmod(index - 1, 26)
        letters = chr(ord("A") + digit) + letters
    return letters


def cell(sheet_id: str, row: int, column: int) -> str:
    """Return the range of one cell; *row* as on the screen, *column* 0 = A."""
    letters = column_letters(column)
    return f"{sheet_id}!{letters}{row}:{letters}{row}"
