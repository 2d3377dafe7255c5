"""A sheet behind its link: found by title or link, read whole, as lines and columns; written."""

import asyncio
from collections.abc import Sequence

from daemon.feishu.client import Client
from daemon.feishu.errors import FeishuError, Reaction
from daemon.feishu.json import Json
from daemon.feishu.sheets import FloatingImage, Sheet, Spreadsheet, cell, column_letters
from daemon.feishu.wiki import read_link, resolve
from daemon.tables.cells import Outcome, Result
from daemon.tables.columns import Columns, Naming, columns_of
from daemon.tables.errors import Misconfigured
from daemon.tables.feishu_grid import SheetGrid, grid_of
from daemon.tables.feishu_sheet_plan import SheetPlan
from daemon.tables.feishu_troubles import trouble_of

#: The list of sheets is asked for anew so often; it may be asked 100 times a minute.
SHEETS_SECONDS = 600.0
#: So is the list of floating pictures, and only while a picture is missing.
FLOATING_SECONDS = 300.0
_MOST_COLUMNS = 100
_ROWS_AT_ONCE = 500


class SheetDocument:
    """One sheet of one spreadsheet. Every method raises FeishuError, NoDocument, Misconfigured."""

    def __init__(self, client: Client, url: str, title: str, naming: Naming) -> None:
        self._client = client
        self._url = url
        self._title = title.strip()
        self._naming = naming
        self._spreadsheet: Spreadsheet | None = None
        self._sheet: Sheet | None = None
        self._sheet_at: float | None = None
        self._floating: tuple[FloatingImage, ...] = ()
        self._floating_at: float | None = None

    async def opened(self) -> tuple[Spreadsheet, Sheet]:
        """Return the spreadsheet and the sheet in it."""
        if self._spreadsheet is None:
            document = await resolve(self._client, read_link(self._url))
            if document.kind != "sheet":
                raise Misconfigured("feishu_is_bitable")
            self._spreadsheet = Spreadsheet(self._client, document.token)
        now = self._client.clock.monotonic()
        if self._sheet is None or self._sheet_at is None or now - self._sheet_at > SHEETS_SECONDS:
            return self._spreadsheet, await self.listed()
        return self._spreadsheet, self._sheet

    async def listed(self) -> Sheet:
        """Return the sheet that is meant: by title, else by the link, else the first to be seen.

        Asked for anew.
        """
        assert self._spreadsheet is not None  # noqa: S101 - callers opened it
        sheets = await self._spreadsheet.sheets()
        linked = read_link(self._url).table
        if self._title:
            found = [sheet for sheet in sheets if sheet.title.strip() == self._title]
        elif linked:
            found = [sheet for sheet in sheets if sheet.sheet_id == linked]
        else:
            found = [sheet for sheet in sheets if not sheet.hidden]
        if not found:
            titles = tuple(sheet.title for sheet in sheets)
            raise Misconfigured("feishu_unknown_sheet", sheet=self._title or linked, titles=titles)
        if found[0].resource_type != "sheet":
            raise Misconfigured("feishu_embedded", sheet=found[0].title)
        self._sheet, self._sheet_at = found[0], self._client.clock.monotonic()
        return found[0]

    async def load(self) -> tuple[SheetGrid, Columns]:
        """Return the sheet as it is now; one call unless it is very large."""
        spreadsheet, sheet = await self.opened()
        spreadsheet.watch()
        try:
            values = await spreadsheet.read(f"{sheet.sheet_id}!A:{_last_column(sheet)}")
        except FeishuError as error:
            if error.about in {"no_sheet", "range"}:
                self._sheet_at = None  # it was deleted or is narrower now: looked up next time
            if error.about != "too_large":
                raise
            values = await self._in_portions(spreadsheet)
        grid = await asyncio.to_thread(grid_of, values)
        return grid, columns_of(grid.headings, self._naming)

    async def send(self, plans: Sequence[SheetPlan]) -> None:
        """Write the cells of all plans in one call; when it is refused, each row on its own."""
        spreadsheet, sheet = await self.opened()
        wanted = [each for each in plans if each.cells and each.outcome.result is Result.WRITTEN]
        cells = {
            cell(sheet.sheet_id, each.line.number, column): value
            for each in wanted
            if each.line is not None
            for column, value in each.cells.items()
        }
        if not cells:
            return
        try:
            await spreadsheet.write(cells)
        except FeishuError as error:
            if error.reaction is not Reaction.ROW:
                raise
            if len(wanted) == 1:
                wanted[0].outcome = Outcome(result=Result.REFUSED, trouble=trouble_of(error))
                return
            for each in wanted:
                await self.send([each])

    async def floating(self, columns: Columns) -> dict[str, frozenset[str]]:
        """Return the columns that pictures float over, by row; under "" for all rows if unknown."""
        now = self._client.clock.monotonic()
        if self._floating_at is None or now - self._floating_at > FLOATING_SECONDS:
            spreadsheet, sheet = await self.opened()
            self._floating = await spreadsheet.floating_images(sheet.sheet_id)
            self._floating_at = now
        keys = {place: key for key, place in columns.found.items()}
        found: dict[str, set[str]] = {}
        for image in self._floating:
            if (corner := image.corner()) is None:
                found.setdefault("", set()).update(columns.found)
            elif corner[1] in keys:
                found.setdefault(str(corner[0]), set()).add(keys[corner[1]])
        return {row: frozenset(over) for row, over in found.items()}

    async def _in_portions(self, spreadsheet: Spreadsheet) -> list[list[Json]]:
        sheet = await self.listed()
        rows = sheet.grid_properties.row_count if sheet.grid_properties else 0
        values: list[list[Json]] = []
        for first in range(1, rows + 1, _ROWS_AT_ONCE):
            last = min(first + _ROWS_AT_ONCE - 1, rows)
            place = f"{sheet.sheet_id}!A{first}:{_last_column(sheet)}{last}"
            values += [[]] * (first - 1 - len(values))  # blank rows at an end are left out
            values += await spreadsheet.read(place)
        return values


def _last_column(sheet: Sheet) -> str:
    count = sheet.grid_properties.column_count if sheet.grid_properties else _MOST_COLUMNS
    return column_letters(min(max(count, 1), _MOST_COLUMNS) - 1)
