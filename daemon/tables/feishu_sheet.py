"""A sheet of a Feishu spreadsheet as a table: rows by their 任务ID, pictures in cells.

Rows move, so each write reads the sheet first, finds its rows and writes, all under the one right
to write to the document. Several pictures of one row go into columns of their own: 输出图片, then
输出图片2, 输出图片3 …, as far as the sheet has them.
"""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from functools import partial
from pathlib import Path

import structlog

from config.settings import Table as TableSettings
from daemon.feishu.client import Client
from daemon.feishu.errors import FeishuError, Reaction
from daemon.feishu.media import Media
from daemon.feishu.sheets import Sheet, Spreadsheet, cell
from daemon.feishu.wiki import document_of
from daemon.tables import feishu_looks
from daemon.tables.cells import (
    CellFile,
    Change,
    Finding,
    Outcome,
    Pick,
    Reading,
    Result,
    ResultFile,
    Row,
)
from daemon.tables.columns import Columns, Naming
from daemon.tables.errors import Misconfigured, Trouble, Unreachable, said_by
from daemon.tables.feishu_grid import SheetGrid, files_of
from daemon.tables.feishu_pictures import PutPictures, for_cell, is_picture
from daemon.tables.feishu_rows import digest
from daemon.tables.feishu_sheet_document import SheetDocument
from daemon.tables.feishu_sheet_plan import PUT, SheetPlan, picture_columns, plan
from daemon.tables.feishu_sheet_strays import strays_among
from daemon.tables.feishu_troubles import as_table_errors, trouble_of
from daemon.tables.feishu_values import our_name
from daemon.tables.ongoing import Ongoing
from daemon.tables.places import Places, row_of

log = structlog.get_logger()

#: Times that rows may move under one write before it is left to the next.
ATTEMPTS = 3


class FeishuSheet:
    """One sheet. See ``daemon.tables.table.Table`` for what each method promises."""

    has_own_keys = False
    takes_files = True
    pictures_in: Path | None = None

    def __init__(self, settings: TableSettings, client: Client, language: str = "auto") -> None:
        self.name = settings.name
        self.kind: str = settings.kind
        self.naming = Naming.of(settings.columns, language)
        self.document = document_of(settings.url)
        self._client = client
        self._media = Media(client)
        self._sheet = SheetDocument(client, settings.url, settings.sheet, self.naming)
        self._put = PutPictures()
        self._columns = Columns(found={}, headings={})  # as last seen

    async def read(self, seen: str | None = None) -> Reading | None:
        """Return every row, or None when the sheet is as it was at *seen*; one call."""
        with as_table_errors():
            grid, columns = await self._sheet.load()
        self._columns = columns
        reading = await asyncio.to_thread(_reading, grid, columns)
        return None if reading.revision == seen else reading

    async def read_all(self) -> Reading:
        """Return every row."""
        reading = await self.read()
        assert reading is not None  # noqa: S101 - nothing was seen before
        return reading

    async def find(self, keys: Collection[str]) -> Sequence[Row]:
        """Return the rows that bear one of *keys* now."""
        wanted = set(keys)
        return [row for row in (await self.read_all()).rows if row.key in wanted]

    async def write(self, changes: Sequence[Change]) -> Sequence[Outcome]:
        """Find all rows, put what pictures are missing, then write all other cells in one call.

        What reached another row, for rows moved between the two calls, is put right and sent again;
        a kill, or an answer that never comes, in between leaves it there.
        A command that somebody writes between the two into a cell that is being emptied is lost.
        Raises Unreachable when rows move under every attempt; the others have been told by then.
        """
        outcomes: dict[int, Outcome] = {}
        left = list(range(len(changes)))
        with as_table_errors():
            spreadsheet, sheet = await self._sheet.opened()
            async with spreadsheet.writing():
                for _ in range(ATTEMPTS):
                    some = [changes[number] for number in left]
                    plans, astray = await self._write_once(spreadsheet, sheet, some)
                    done = dict(zip(left, plans, strict=True))
                    outcomes |= {number: plan.outcome for number, plan in done.items()}
                    left = [number for number, plan in done.items() if plan in astray]
                    if not left:
                        return [outcomes[number] for number in range(len(changes))]
        raise Unreachable("changed_meanwhile", path=self.document)

    async def add_columns(self, keys: Sequence[str]) -> None:
        """Write headings behind the last one; raises Misconfigured when there is no room."""
        with as_table_errors():
            spreadsheet, _ = await self._sheet.opened()
            async with spreadsheet.writing():
                grid, columns = await self._sheet.load()
                missing = [self.naming.heading_of(key) for key in keys if key not in columns]
                sheet = await self._sheet.listed()
                room = sheet.grid_properties.column_count if sheet.grid_properties else 0
                if missing and room < grid.width + len(missing):
                    count = str(grid.width + len(missing) - room)
                    raise Misconfigured("feishu_no_room", count=count)
                row = grid.heading_number
                spots = [cell(sheet.sheet_id, row, grid.width + n) for n in range(len(missing))]
                await spreadsheet.write(dict(zip(spots, missing, strict=True)))

    async def fetch(self, file: CellFile, row: Row, column: str, into: Path) -> None:
        """Download a picture that lies in a cell."""
        with as_table_errors():
            await self._media.download(file.token, into, size_bytes=file.size_bytes)

    async def upload(
        self,
        file: ResultFile,
        key: str,
        column: str,
        among: Pick | None = None,
        ongoing: Ongoing | None = None,
    ) -> str:
        """Put a picture into its cell and return its token there; one call, never in parts.

        "" for what is no picture and where there is no such row or column.
        """
        if not is_picture(file.path) or (self._columns.found and column not in self._columns):
            return ""
        with as_table_errors():
            spreadsheet, _ = await self._sheet.opened()
            async with spreadsheet.writing():
                place = await self._place_of(file, key, column, among)
                for _ in range(ATTEMPTS):
                    if place is None:
                        return ""
                    spot, there = place
                    token = await self._put_picture(spreadsheet, spot, key, file, there)
                    if spreadsheet.is_undisturbed:
                        return token
                    place = await self._place_of(file, key, column, among)
                    if place is not None and place[0] == spot:
                        return token
                    await spreadsheet.write({spot: ""})  # another row stands there now
        raise Unreachable("changed_meanwhile", path=self.document)

    def room(self, column: str) -> int | None:
        """Return how many columns for pictures there are; videos are told in one cell."""
        if column != "output_image" or column not in self._columns:
            return None
        return len(picture_columns(column, self._columns, self.naming))

    async def floating(self) -> Mapping[str, frozenset[str]]:
        """Return what the list of floating pictures tells; asked now and then."""
        with as_table_errors():
            return await self._sheet.floating(self._columns)

    async def inspect(self, *, write_test: bool = False) -> Sequence[Finding]:
        """Return what `check` shows: document and rights, columns, a write on request."""
        return await feishu_looks.at_sheet(self, self._client, write_test=write_test)

    async def close(self) -> None:
        """Release the connections that all Feishu tables share."""
        await self._client.close()

    async def opened(self) -> tuple[Spreadsheet, Sheet, SheetGrid, Columns]:
        """Return the document, looked up anew; raises FeishuError."""
        spreadsheet, _ = await self._sheet.opened()
        sheet = await self._sheet.listed()
        grid, columns = await self._sheet.load()
        return spreadsheet, sheet, grid, columns

    async def _place_of(
        self, file: ResultFile, key: str, column: str, among: Pick | None
    ) -> tuple[str, Sequence[CellFile]] | None:
        """Return where a picture belongs now and what lies there, None when it has no place."""
        _, sheet = await self._sheet.opened()
        grid, columns = await self._sheet.load()
        self._columns = columns
        index = Places(grid, columns).take(key, among)
        places = picture_columns(column, columns, self.naming)
        if index is None or len(places) < file.number:
            return None
        line, column_at = grid.lines[index], places[file.number - 1]
        return cell(sheet.sheet_id, line.number, column_at), line.files.get(column_at, ())

    async def _write_once(
        self, spreadsheet: Spreadsheet, sheet: Sheet, changes: Sequence[Change]
    ) -> tuple[list[SheetPlan], list[SheetPlan]]:
        """Return the plans that were carried out, and those of them that must be made anew."""
        grid, columns = await self._sheet.load()
        self._columns = columns
        plans = await asyncio.to_thread(self._plans, changes, grid, columns)
        for each in plans:
            await self._put_pictures(spreadsheet, sheet, each)
        await self._sheet.send(plans)
        if spreadsheet.is_undisturbed:
            return plans, []
        now, _ = await self._sheet.load()
        strays = await asyncio.to_thread(strays_among, plans, grid, now)
        if strays.plans:
            log.warning("table.rows_moved", table=self.name, rows=len(strays.plans))
            places = strays.cells.items()
            await spreadsheet.write({cell(sheet.sheet_id, *at): was for at, was in places})
        return plans, strays.plans

    def _plans(
        self, changes: Sequence[Change], grid: SheetGrid, columns: Columns
    ) -> list[SheetPlan]:
        """Return what is to be written for each change; for thousands of lines this takes long."""
        places = Places(grid, columns)
        return [self._plan(change, places, grid, columns) for change in changes]

    def _plan(self, change: Change, places: Places, grid: SheetGrid, columns: Columns) -> SheetPlan:
        index = places.take(change.row, change.among)
        if index is None:
            by_key = isinstance(change.row, str)
            return SheetPlan(change, Outcome(result=Result.GONE if by_key else Result.MOVED))
        put = partial(self._put.token, _key_of(change))
        return plan(change, grid.lines[index], columns, self.naming, put)

    async def _put_pictures(
        self, spreadsheet: Spreadsheet, sheet: Sheet, planned: SheetPlan
    ) -> None:
        """Put the pictures of one change; one that cannot be put refuses the change."""
        for column, file in planned.pictures.items():
            assert planned.line is not None  # noqa: S101 - a plan with pictures has a row
            spot = cell(sheet.sheet_id, planned.line.number, column)
            try:
                await self._put_picture(spreadsheet, spot, _key_of(planned.change), file)
            except FeishuError as error:
                if error.reaction is not Reaction.ROW:
                    raise
                planned.outcome = Outcome(result=Result.REFUSED, trouble=trouble_of(error))
            except OSError as error:
                trouble = Trouble(code="feishu_no_picture", phrases={"reason": said_by(error)})
                planned.outcome = Outcome(result=Result.REFUSED, trouble=trouble)

    async def _put_picture(
        self,
        spreadsheet: Spreadsheet,
        spot: str,
        key: str,
        file: ResultFile,
        there: Sequence[CellFile] = (),
    ) -> str:
        """Put one picture and return its token; one that lies *there* already is left alone."""
        content, suffix = await asyncio.to_thread(for_cell, file.path)
        for found in there:  # a kill before the token was noted
            if await self._media.holds(found.token, content):
                return found.token
        name = Path(our_name(file)).with_suffix(suffix).name
        await spreadsheet.write_image(spot, content, name)
        ((held, *_), *_) = [*await spreadsheet.read(spot), [None]]
        now = files_of(held)
        token = now[0].token if now else f"{PUT}{file.sha256[:16]}"
        self._put.note(key, file.sha256, token)
        return token


def _reading(grid: SheetGrid, columns: Columns) -> Reading:
    """Return the lines as rows; for thousands of them this takes long."""
    revision = digest([grid.headings, [[line.number, line.mark] for line in grid.lines]])
    rows = tuple(row_of(line, columns) for line in grid.lines)
    return Reading(revision=revision, columns=columns, rows=rows)


def _key_of(change: Change) -> str:
    return change.row if isinstance(change.row, str) else change.row.key or change.row.mark
