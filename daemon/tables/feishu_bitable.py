"""A Feishu Bitable as a table: rows by their record_id, files as attachments.

One filtered search a look; columns are asked for anew when one is missing, and now and then.
"""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import replace

from config.settings import Table as TableSettings
from daemon.feishu.bitable import Bitable, FieldType, Record, tables_of
from daemon.feishu.client import Client
from daemon.feishu.errors import FeishuError, Reaction
from daemon.feishu.media import Media
from daemon.feishu.push import Changed
from daemon.feishu.uploads import FileUploads, ParentType, Place
from daemon.feishu.wiki import document_of, read_link, resolve
from daemon.tables import feishu_looks
from daemon.tables.cells import CellFile, Change, Finding, Outcome, Reading, Result, ResultFile, Row
from daemon.tables.columns import OUR_HEADINGS, Columns, Naming
from daemon.tables.errors import Misconfigured
from daemon.tables.feishu_changes import Plan, key_of, plan
from daemon.tables.feishu_filter import open_rows
from daemon.tables.feishu_rows import BitableColumns, digest
from daemon.tables.feishu_troubles import as_table_errors, trouble_of
from daemon.tables.feishu_values import our_name, type_for
from daemon.tables.ongoing import Ongoing

if TYPE_CHECKING:
    from ledger.task import Json

#: Columns are listed anew so often, to see new ones; each time is a call.
COLUMNS_SECONDS = 600.0
#: Whether advanced permissions hide the rows is asked so often, as long as none come.
TRAP_SECONDS = 3600.0
#: A record that was just made may be unknown for so long.
LAG_SECONDS = 2.0
_COLUMNS_ASKED = 200


class FeishuBitable:
    """One table of a Bitable. See ``daemon.tables.table.Table`` for what each method promises."""

    has_own_keys = True
    takes_files = True
    pictures_in: Path | None = None

    def __init__(self, settings: TableSettings, client: Client) -> None:
        self.name = settings.name
        self.kind: str = settings.kind
        self.naming = Naming.of(settings.columns)
        self._client = client
        self._media = Media(client)
        self._uploads = FileUploads(client, always_in_parts=settings.uploads == "parts")
        self._url = settings.url
        self.document = document_of(settings.url)
        self._bitable: Bitable | None = None
        self._known = BitableColumns(Columns(found={}, headings={}), {})
        self._known_at: float | None = None
        self._trap_at: float | None = None

    async def read(self, seen: str | None = None) -> Reading | None:
        """Return the rows that are no end or bear a command, or None when all is as at *seen*."""
        with as_table_errors():
            return await self._read(seen, filtered=True)

    async def read_all(self) -> Reading:
        """Return every row."""
        with as_table_errors():
            reading = await self._read(None, filtered=False)
        assert reading is not None  # noqa: S101 - nothing was seen before
        return reading

    async def find(self, keys: Collection[str]) -> Sequence[Row]:
        """Return the rows with these record ids."""
        with as_table_errors():
            known = await self._columns()
            records = await (await self._opened()).get(list(keys))
        return await asyncio.to_thread(lambda: [known.row(each) for each in records.values()])

    async def write(self, changes: Sequence[Change]) -> Sequence[Outcome]:
        """Write all *changes* in one batch; when Feishu refuses it, each row on its own."""
        with as_table_errors():
            known = await self._columns()
            bitable = await self._opened()
            records = await self._found(bitable, [key_of(change) for change in changes])
            plans = await asyncio.to_thread(
                lambda: [plan(each, records, known) for each in changes]
            )
            await self._carry_out(bitable, plans)
        return [each.outcome for each in plans]

    async def add_columns(self, keys: Sequence[str]) -> None:
        """Add columns of the types that suit what they are given."""
        with as_table_errors():
            known = await self._list_columns()
            bitable = await self._opened()
            for key in keys:
                if key not in known.columns:
                    kind, options = type_for(key)
                    await bitable.add_field(self.naming.heading_of(key), kind, options)
            await self._list_columns()

    async def fetch(self, file: CellFile, row: Row, column: str, into: Path) -> None:
        """Download an attachment; the right to it is asked for by table, column and row."""
        with as_table_errors():
            field = (await self._columns()).field(column)
            bitable = await self._opened()
            where = {field.field_id: {row.key: [file.token]}} if field and row.key else {}
            extra = {"bitablePerm": {"tableId": bitable.table, "attachments": where}}
            text = msgspec.json.encode(extra).decode()
            await self._media.download(file.token, into, extra=text, size_bytes=file.size_bytes)

    async def upload(
        self,
        file: ResultFile,
        key: str,
        column: str,
        among: object = None,
        ongoing: Ongoing | None = None,
    ) -> str:
        """Upload a result for an attachment column; for others nothing is uploaded."""
        with as_table_errors():
            field = (await self._columns()).field(column)
            if field is None or field.type != FieldType.ATTACHMENT:
                return ""
            return await self._uploaded(await self._opened(), file, ongoing)

    def room(self, column: str) -> int | None:
        """Return None: an attachment cell takes a hundred."""
        return None

    async def floating(self) -> Mapping[str, frozenset[str]]:
        """Return nothing: no picture floats where it cannot be read."""
        return {}

    async def inspect(self, *, write_test: bool = False) -> Sequence[Finding]:
        """Return what `check` shows: document and rights, each column, a write on request."""
        return await feishu_looks.at_bitable(self, self._client, write_test=write_test)

    async def close(self) -> None:
        """Release the connections that all Feishu tables share."""
        await self._client.close()

    async def opened(self) -> tuple[Bitable, BitableColumns]:
        """Return the document with its columns, asked for anew; raises FeishuError."""
        known = await self._list_columns()
        return await self._opened(), known

    async def app_token(self) -> str:
        """Return the document's token; raises TableError."""
        with as_table_errors():
            return (await self._opened()).app

    def is_news(self, changed: Changed) -> bool:
        """Say whether a change is in this table and more than cells that we fill ourselves."""
        bitable = self._bitable
        if bitable is None or (changed.file_token, changed.table_id) != (
            bitable.app,
            bitable.table,
        ):
            return False
        ours = {
            field.field_id
            for key in OUR_HEADINGS
            if key != "command" and (field := self._known.field(key)) is not None
        }
        return changed.field_ids is None or not changed.field_ids <= ours

    async def _opened(self) -> Bitable:
        if self._bitable is None:
            document = await resolve(self._client, read_link(self._url))
            if document.kind != "bitable":
                found, wanted = "spreadsheet", "Bitable"
                raise Misconfigured("feishu_wrong_kind", found=found, kind=wanted)
            table = document.table or (await tables_of(self._client, document.token))[0].table_id
            self._bitable = Bitable(self._client, document.token, table)
        return self._bitable

    async def _columns(self) -> BitableColumns:
        now = self._client.clock.monotonic()
        if self._known_at is None or now - self._known_at > COLUMNS_SECONDS:
            return await self._list_columns()
        return self._known

    async def _list_columns(self) -> BitableColumns:
        fields = await (await self._opened()).fields()
        self._known_at = None  # until the headings are found good
        self._known = BitableColumns.of(fields, self.naming)
        self._known_at = self._client.clock.monotonic()
        return self._known

    async def _read(self, seen: str | None, *, filtered: bool) -> Reading | None:
        known = await self._columns()
        try:
            records, is_whole = await self._searched(known, filtered=filtered)
        except FeishuError as error:
            if error.about != "no_field":
                raise
            known = await self._list_columns()  # a column was renamed or deleted since
            records, is_whole = await self._searched(known, filtered=filtered)
        await self._look_for_the_trap(records)
        reading = await asyncio.to_thread(_reading, known, records, is_whole=is_whole)
        return None if reading.revision == seen else reading

    async def _searched(
        self, known: BitableColumns, *, filtered: bool
    ) -> tuple[list[Record], bool]:
        where = open_rows(known.columns, known.fields) if filtered else None
        asked = list(known.columns.headings.values())[:_COLUMNS_ASKED]
        return await (await self._opened()).search(asked, where), where is None

    async def _look_for_the_trap(self, records: Sequence[Record]) -> None:
        """Raise Misconfigured when advanced permissions may hide every row from us.

        A search then succeeds with nothing, as it does when nothing is to be done; so this is
        asked at the first such answer, and now and then.
        """
        now = self._client.clock.monotonic()
        if records or (self._trap_at is not None and now - self._trap_at < TRAP_SECONDS):
            return
        bitable = await self._opened()
        if (await bitable.meta()).is_advanced and not await bitable.search([]):
            raise Misconfigured("feishu_empty")
        self._trap_at = now

    async def _found(self, bitable: Bitable, keys: Sequence[str]) -> dict[str, Record]:
        """Return the records that exist; absent ones are asked for again, for replicas lag."""
        records = await bitable.get(list(dict.fromkeys(keys)))
        if absent := [key for key in dict.fromkeys(keys) if key not in records]:
            await self._client.clock.pause(LAG_SECONDS)
            records |= await bitable.get(absent)
        return records

    async def _carry_out(self, bitable: Bitable, plans: Sequence[Plan]) -> None:
        wanted = [each for each in plans if each.fields]
        cells: dict[str, dict[str, Json]] = {}
        for each in wanted:
            cells.setdefault(key_of(each.change), {}).update(each.fields)
        if not cells:
            return
        try:
            await bitable.update(cells)
        except FeishuError as error:
            if error.reaction is not Reaction.ROW:
                raise
        else:
            return
        for each in wanted:  # a batch is refused whole: which of its rows is it?
            each.outcome = await self._alone(bitable, each)

    async def _alone(self, bitable: Bitable, refused: Plan) -> Outcome:
        """Write one change of a batch that was refused, and say what became of it."""
        key = key_of(refused.change)
        try:
            try:
                await bitable.update({key: refused.fields})
            except FeishuError as error:
                if error.about != "foreign_file":
                    raise
                change = await self._with_new_files(bitable, refused.change)
                again = plan(change, await bitable.get([key]), await self._columns())
                await bitable.update({key: again.fields})
        except FeishuError as error:
            if error.about == "row_gone":
                return Outcome(result=Result.GONE)
            if error.reaction is not Reaction.ROW:
                raise
            return Outcome(result=Result.REFUSED, trouble=trouble_of(error))
        return refused.outcome

    async def _with_new_files(self, bitable: Bitable, change: Change) -> Change:
        """Return *change* with its files uploaded anew: the document does not know their tokens."""
        cells = dict(change.cells)
        for key, value in cells.items():
            if isinstance(value, tuple):
                cells[key] = tuple(
                    [replace(file, token=await self._uploaded(bitable, file)) for file in value]
                )
        return replace(change, row=key_of(change), cells=cells)

    async def _uploaded(
        self, bitable: Bitable, file: ResultFile, ongoing: Ongoing | None = None
    ) -> str:
        place = Place(ParentType.BITABLE_FILE, bitable.app)
        return await self._uploads.upload(file.path, our_name(file), place, ongoing)


def _reading(known: BitableColumns, records: Sequence[Record], *, is_whole: bool) -> Reading:
    """Return the records as rows; for thousands of them this takes long."""
    rows = tuple(known.row(record) for record in records)
    revision = digest([list(known.fields), [row.mark for row in rows]])
    return Reading(revision=revision, columns=known.columns, rows=rows, is_whole=is_whole)
