"""Bitable v1: fields, records by filter, records by id, changes of many records at once.

A batch is all or nothing. Empty cells are missing from a record's ``fields``. Documented limits:
500 records a page and (by one of two contradicting pages) a batch, 100 ids a ``batch_get``,
20 reads and 50 writes a second.
"""

from collections.abc import Iterable, Mapping, Sequence
from enum import IntEnum

import msgspec

from daemon import failpoint
from daemon.feishu.client import Api, Client, Nothing, Params
from daemon.feishu.errors import FeishuError
from daemon.feishu.json import Json

_PREFIX = "/open-apis/bitable/v1/apps/{app}"
_META = Api("bitable.meta", "GET", _PREFIX)
_TABLES = Api("bitable.tables", "GET", _PREFIX + "/tables")
_FIELDS = Api("bitable.fields", "GET", _PREFIX + "/tables/{table}/fields")
_NEW_FIELD = Api("bitable.new_field", "POST", _PREFIX + "/tables/{table}/fields")
_SEARCH = Api("bitable.search", "POST", _PREFIX + "/tables/{table}/records/search")
_GET = Api("bitable.get", "POST", _PREFIX + "/tables/{table}/records/batch_get")
_UPDATE = Api("bitable.update", "POST", _PREFIX + "/tables/{table}/records/batch_update")

PAGE_RECORDS = 500
SMALLEST_PAGE_RECORDS = 20
BATCH_RECORDS = 500
GET_RECORDS = 100
#: A page token that ended while pages were read: the search begins anew, so often.
_SEARCHES = 3
_STALE_PAGE = 1254002


class FieldType(IntEnum):
    """The kinds of columns that we read or write; the rest cannot hold anything of ours."""

    TEXT = 1
    NUMBER = 2
    SINGLE_SELECT = 3
    MULTI_SELECT = 4
    DATE = 5
    CHECKBOX = 7
    PHONE = 13
    URL = 15
    ATTACHMENT = 17
    LOOKUP = 19
    FORMULA = 20
    AUTO_NUMBER = 1005


class Option(msgspec.Struct, frozen=True):
    """A choice of a select column."""

    name: str


class Property(msgspec.Struct, frozen=True):
    """What a column's type adds; only choices concern us."""

    options: tuple[Option, ...] | None = None


class Field(msgspec.Struct, frozen=True):
    """A column."""

    field_id: str
    field_name: str
    type: int
    ui_type: str = ""
    extras: Property | None = msgspec.field(name="property", default=None)

    @property
    def name(self) -> str:
        """Its heading without blanks around it."""
        return self.field_name.strip()

    @property
    def options(self) -> tuple[str, ...]:
        """Its choices, if it is a select column."""
        given = self.extras.options if self.extras else None
        return tuple(option.name for option in given or ())


class Record(msgspec.Struct, frozen=True):
    """A row; cells by heading, empty ones missing."""

    record_id: str
    fields: dict[str, Json] = {}


class App(msgspec.Struct, frozen=True):
    """A Bitable."""

    name: str = ""
    revision: int = 0
    is_advanced: bool = False  # advanced permissions are on: search may answer empty


class _Meta(msgspec.Struct, frozen=True):
    app: App


class TableOf(msgspec.Struct, frozen=True):
    """One of its tables."""

    table_id: str
    name: str = ""
    revision: int = 0


class _Tables(msgspec.Struct, frozen=True):
    items: tuple[TableOf, ...] | None = None
    has_more: bool = False
    page_token: str = ""


class _Fields(msgspec.Struct, frozen=True):
    items: tuple[Field, ...] | None = None
    has_more: bool = False
    page_token: str = ""


class _Found(msgspec.Struct, frozen=True):
    items: tuple[Record, ...] | None = None
    has_more: bool = False
    page_token: str = ""


class _Got(msgspec.Struct, frozen=True):
    records: tuple[Record, ...] | None = None
    forbidden_record_ids: tuple[str, ...] | None = None


class Condition(msgspec.Struct, frozen=True):
    """One test of a cell; *value* is empty for ``isEmpty`` and ``isNotEmpty``."""

    field_name: str
    operator: str
    value: tuple[str, ...] = ()


class Conditions(msgspec.Struct, frozen=True):
    """Tests joined by "and" or "or"."""

    conjunction: str
    conditions: tuple[Condition, ...]


class Filter(msgspec.Struct, frozen=True):
    """Groups of tests joined by "and" or "or"; groups cannot hold groups."""

    conjunction: str
    children: tuple[Conditions, ...]


class Bitable:
    """One table of one Bitable. Every method raises FeishuError."""

    def __init__(self, client: Client, app: str, table: str) -> None:
        self._client = client
        self.app = app
        self.table = table
        self._path = {"app": app, "table": table}

    async def meta(self) -> App:
        """Return what the Bitable says of itself."""
        return (await self._client.call(_META, _Meta, path={"app": self.app})).app

    async def fields(self) -> list[Field]:
        """Return all columns."""
        fields, token = list[Field](), ""
        while True:
            params = _page(100, token)
            page = await self._client.call(_FIELDS, _Fields, path=self._path, params=params)
            fields += page.items or ()
            if not page.has_more:
                return fields
            token = page.page_token

    async def add_field(self, name: str, kind: FieldType, options: Sequence[str] = ()) -> None:
        """Add a column; one that is added twice comes twice, so look for it first."""
        field: dict[str, object] = {"field_name": name, "type": int(kind)}
        if options:
            field["property"] = {"options": [{"name": option} for option in options]}
        body = msgspec.json.encode(field)
        async with self._client.limits.writing(self.app):
            await self._client.call(_NEW_FIELD, Nothing, path=self._path, body=body)

    async def search(
        self, columns: Sequence[str], where: Filter | Conditions | None = None
    ) -> list[Record]:
        """Return the records that pass *where*, with these columns (none: all), each once.

        A page that is too large is asked for in smaller ones; a page token that went stale begins
        the search anew.
        """
        page_records, searches = PAGE_RECORDS, 1
        while True:
            try:
                return await self._search(columns, where, page_records)
            except FeishuError as error:
                if error.about == "too_large" and page_records > SMALLEST_PAGE_RECORDS:
                    page_records = max(page_records // 4, SMALLEST_PAGE_RECORDS)
                elif error.code == _STALE_PAGE and searches < _SEARCHES:
                    searches += 1
                else:
                    raise

    async def _search(
        self, columns: Sequence[str], where: Filter | Conditions | None, page_records: int
    ) -> list[Record]:
        query: dict[str, object] = {"field_names": list(columns)} if columns else {}
        if where is not None:
            query["filter"] = where
        body, found, token = msgspec.json.encode(query), dict[str, Record](), ""
        while True:
            params = _page(page_records, token)
            page = await self._client.call(
                _SEARCH, _Found, path=self._path, params=params, body=body
            )
            found.update((record.record_id, record) for record in page.items or ())
            if not page.has_more:
                return list(found.values())
            token = page.page_token

    async def get(self, record_ids: Sequence[str]) -> dict[str, Record]:
        """Return those of the records that exist and may be read, by id."""
        got: dict[str, Record] = {}
        for some in _portions(record_ids, GET_RECORDS):
            body = msgspec.json.encode({"record_ids": some})
            answer = await self._client.call(_GET, _Got, path=self._path, body=body)
            got.update((record.record_id, record) for record in answer.records or ())
        return got

    async def update(self, changes: Mapping[str, Mapping[str, Json]]) -> None:
        """Set the given cells of the given records, None clears; other cells stay.

        Each portion of 500 records is taken whole or not at all. Harmless when repeated.
        """
        for some in _portions(list(changes), BATCH_RECORDS):
            records = [{"record_id": each, "fields": changes[each]} for each in some]
            body = msgspec.json.encode({"records": records})
            async with self._client.limits.writing(self.app):
                failpoint.reach("feishu.update.before")
                await self._client.call(_UPDATE, Nothing, path=self._path, body=body)
                failpoint.reach("feishu.update.after")


async def tables_of(client: Client, app: str) -> list[TableOf]:
    """Return the tables of a Bitable; raises FeishuError."""
    tables, token = list[TableOf](), ""
    while True:
        params = _page(100, token)
        page = await client.call(_TABLES, _Tables, path={"app": app}, params=params)
        tables += page.items or ()
        if not page.has_more:
            return tables
        token = page.page_token


def _page(size: int, token: str) -> Params:
    return [("page_size", str(size)), *([("page_token", token)] if token else [])]


def _portions(items: Sequence[str], size: int) -> Iterable[Sequence[str]]:
    return (items[start : start + size] for start in range(0, len(items), size))
