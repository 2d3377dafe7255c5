"""A Feishu Bitable as a table: rows by their record_id, files as attachments."""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from config.settings import Table as TableSettings
from daemon.feishu.bitable import Bitable, FieldType, Record
from daemon.feishu.client import Client
from daemon.feishu.errors import FeishuError, Reaction
from daemon.feishu.media import Media
from daemon.feishu.push import Changed
from daemon.feishu.uploads import FileUploads, ParentType, Place
from daemon.feishu.wiki import document_of
from daemon.tables import feishu_looks
from daemon.tables.cells import CellFile, Change, Finding, Outcome, Reading, Result, ResultFile, Row
from daemon.tables.columns import Naming
from daemon.tables.feishu_bitable_document import BitableDocument
from daemon.tables.feishu_bitable_plan import BitablePlan, key_of, plan
from daemon.tables.feishu_rows import BitableColumns, digest
from daemon.tables.feishu_troubles import as_table_errors, trouble_of
from daemon.tables.feishu_values import our_name, type_for
from daemon.tables.ongoing import Ongoing

if TYPE_CHECKING:
    from ledger.task import Json


class FeishuBitable:
    """One table of a Bitable. See ``daemon.tables.table.Table`` for what each method promises."""

    has_own_keys = True
    takes_files = True
    pictures_in: Path | None = None

    def __init__(self, settings: TableSettings, client: Client, language: str = "auto") -> None:
        self.name = settings.name
        self.kind: str = settings.kind
        self.naming = Naming.of(settings.columns, language)
        self._client = client
        self._media = Media(client)
        self._uploads = FileUploads(client, small_ones_whole=settings.uploads == "whole")
        self.document = document_of(settings.url)
        self._bitable = BitableDocument(client, settings.url, self.naming)

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
            known = await self._bitable.columns()
            records = await (await self._bitable.opened()).get(list(keys))
        return await asyncio.to_thread(lambda: [known.row(each) for each in records.values()])

    async def write(self, changes: Sequence[Change]) -> Sequence[Outcome]:
        """Write all *changes* in one batch; when Feishu refuses it, each row on its own.

        Each row is read just before. What people write into one of these cells between that call
        and the next is lost: a second command where the first one is being emptied, too.
        """
        with as_table_errors():
            known = await self._bitable.columns()
            bitable = await self._bitable.opened()
            records = await self._bitable.found([key_of(change) for change in changes])
            plans = await asyncio.to_thread(
                lambda: [plan(each, records, known) for each in changes]
            )
            await self._carry_out(bitable, plans)
        return [each.outcome for each in plans]

    async def add_columns(self, keys: Sequence[str]) -> None:
        """Add columns of the types that suit what they are given."""
        with as_table_errors():
            known = await self._bitable.listed()
            bitable = await self._bitable.opened()
            for key in keys:
                if key not in known.columns:
                    kind, options = type_for(key, self.naming.language)
                    await bitable.add_field(self.naming.heading_of(key), kind, options)
            await self._bitable.listed()

    async def fetch(self, file: CellFile, row: Row, column: str, into: Path) -> None:
        """Download an attachment; the right to it is asked for by table, column and row."""
        with as_table_errors():
            field = (await self._bitable.columns()).field(column)
            bitable = await self._bitable.opened()
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
            field = (await self._bitable.columns()).field(column)
            if field is None or field.type != FieldType.ATTACHMENT:
                return ""
            place = Place(ParentType.BITABLE_FILE, (await self._bitable.opened()).app)
            return await self._uploads.upload(file.path, our_name(file), place, ongoing)

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
        known = await self._bitable.listed()
        return await self._bitable.opened(), known

    async def app_token(self) -> str:
        """Return the document's token; raises TableError."""
        with as_table_errors():
            return (await self._bitable.opened()).app

    def is_news(self, changed: Changed) -> bool:
        """Say whether a change is in this table and more than cells that we fill ourselves."""
        return self._bitable.is_news(changed)

    async def _read(self, seen: str | None, *, filtered: bool) -> Reading | None:
        known, records, is_whole = await self._bitable.load(filtered=filtered)
        reading = await asyncio.to_thread(_reading, known, records, is_whole=is_whole)
        return None if reading.revision == seen else reading

    async def _carry_out(self, bitable: Bitable, plans: Sequence[BitablePlan]) -> None:
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

    async def _alone(self, bitable: Bitable, refused: BitablePlan) -> Outcome:
        """Write one change of a batch that was refused, and say what became of it."""
        key = key_of(refused.change)
        known = await self._bitable.columns()
        refused = plan(refused.change, await bitable.get([key]), known)  # the others took time
        if not refused.fields:
            return refused.outcome
        try:
            await bitable.update({key: refused.fields})
        except FeishuError as error:
            if error.about == "row_gone":
                return Outcome(result=Result.GONE)
            if error.reaction is not Reaction.ROW:
                raise
            trouble, unknown = trouble_of(error), frozenset(refused.attached)
            if error.about == "foreign_file" and unknown:
                return Outcome(result=Result.UNKNOWN_FILES, trouble=trouble, unknown=unknown)
            return Outcome(result=Result.REFUSED, trouble=trouble)
        return refused.outcome


def _reading(known: BitableColumns, records: Sequence[Record], *, is_whole: bool) -> Reading:
    """Return the records as rows; for thousands of them this takes long."""
    rows = tuple(known.row(record) for record in records)
    revision = digest([list(known.fields), [row.mark for row in rows]])
    return Reading(revision=revision, columns=known.columns, rows=rows, is_whole=is_whole)
