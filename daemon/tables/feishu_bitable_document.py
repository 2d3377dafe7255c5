"""A table of a Bitable behind its link: found once, its columns known, its records searched.

One filtered search a look; columns are asked for anew when one is missing, and now and then.
"""

from collections.abc import Sequence

from daemon.feishu.bitable import Bitable, Record, tables_of
from daemon.feishu.client import Client
from daemon.feishu.errors import FeishuError
from daemon.feishu.push import Changed
from daemon.feishu.wiki import read_link, resolve
from daemon.tables.columns import Columns, Naming
from daemon.tables.errors import Misconfigured
from daemon.tables.feishu_filter import open_rows
from daemon.tables.feishu_rows import BitableColumns
from daemon.words.headings import OUR_HEADINGS

#: Columns are listed anew so often, to see new ones; each time is a call.
COLUMNS_SECONDS = 600.0
#: Whether advanced permissions hide the rows is asked so often, as long as none come.
TRAP_SECONDS = 3600.0
#: A record that was just made may be unknown for so long.
LAG_SECONDS = 2.0
_COLUMNS_ASKED = 200


class BitableDocument:
    """One table of one Bitable. Every method raises FeishuError, NoDocument, Misconfigured."""

    def __init__(self, client: Client, url: str, naming: Naming) -> None:
        self._client = client
        self._url = url
        self._naming = naming
        self._bitable: Bitable | None = None
        self._known = BitableColumns(Columns(found={}, headings={}), {})
        self._known_at: float | None = None
        self._trap_at: float | None = None

    async def opened(self) -> Bitable:
        """Return the table."""
        if self._bitable is None:
            document = await resolve(self._client, read_link(self._url))
            if document.kind != "bitable":
                raise Misconfigured("feishu_is_sheet")
            table = document.table or (await tables_of(self._client, document.token))[0].table_id
            self._bitable = Bitable(self._client, document.token, table)
        return self._bitable

    async def columns(self) -> BitableColumns:
        """Return the columns, as known from a short while ago."""
        now = self._client.clock.monotonic()
        if self._known_at is None or now - self._known_at > COLUMNS_SECONDS:
            return await self.listed()
        return self._known

    async def listed(self) -> BitableColumns:
        """Return the columns, asked for anew."""
        fields = await (await self.opened()).fields()
        self._known_at = None  # until the headings are found good
        self._known = BitableColumns.of(fields, self._naming)
        self._known_at = self._client.clock.monotonic()
        return self._known

    async def load(self, *, filtered: bool) -> tuple[BitableColumns, list[Record], bool]:
        """Return the columns, the records, and whether these are all there are.

        *filtered*: those that are no end or bear a command are enough.
        """
        known = await self.columns()
        try:
            records, is_whole = await self._searched(known, filtered=filtered)
        except FeishuError as error:
            if error.about != "no_field":
                raise
            known = await self.listed()  # a column was renamed or deleted since
            records, is_whole = await self._searched(known, filtered=filtered)
        await self._look_for_the_trap(records)
        return known, records, is_whole

    async def found(self, keys: Sequence[str]) -> dict[str, Record]:
        """Return the records that exist; absent ones are asked for again, for replicas lag."""
        bitable = await self.opened()
        records = await bitable.get(list(dict.fromkeys(keys)))
        if absent := [key for key in dict.fromkeys(keys) if key not in records]:
            await self._client.clock.pause(LAG_SECONDS)
            records |= await bitable.get(absent)
        return records

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

    async def _searched(
        self, known: BitableColumns, *, filtered: bool
    ) -> tuple[list[Record], bool]:
        where = open_rows(known.columns, known.fields) if filtered else None
        asked = list(known.columns.headings.values())[:_COLUMNS_ASKED]
        return await (await self.opened()).search(asked, where), where is None

    async def _look_for_the_trap(self, records: Sequence[Record]) -> None:
        """Raise Misconfigured when advanced permissions may hide every row from us.

        A search then succeeds with nothing, as it does when nothing is to be done; so this is
        asked at the first such answer, and now and then.
        """
        now = self._client.clock.monotonic()
        if records or (self._trap_at is not None and now - self._trap_at < TRAP_SECONDS):
            return
        bitable = await self.opened()
        if (await bitable.meta()).is_advanced and not await bitable.search([]):
            raise Misconfigured("feishu_empty")
        self._trap_at = now
