"""The fake's Bitable v1."""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from tests.fakes.feishu.desk import Desk, Refusal, json_of, success, want
from tests.fakes.feishu.drive import Drive

_READ_ONLY = {19, 20, 1001, 1002, 1003, 1004, 1005}
_OPERATORS = {
    *("is", "isNot", "contains", "doesNotContain", "isEmpty", "isNotEmpty"),
    *("isGreater", "isGreaterEqual", "isLess", "isLessEqual"),
}


@dataclass
class Column:
    name: str
    type: int = 1
    options: list[str] = field(default_factory=list)
    field_id: str = field(default_factory=lambda: f"fld{secrets.token_hex(5)}")

    def shown(self) -> dict[str, Any]:
        options = [
            {"id": f"opt{n}", "name": name, "color": 0} for n, name in enumerate(self.options)
        ]
        return {
            "field_id": self.field_id,
            "field_name": self.name,
            "type": self.type,
            "ui_type": "Text" if self.type == 1 else "",
            "is_primary": False,
            "is_hidden": False,
            "property": {"options": options} if self.type in (3, 4) else None,
        }


@dataclass
class Row:
    cells: dict[str, Any]  # by field id, as it was written; attachments as lists of tokens
    record_id: str = field(default_factory=lambda: f"rec{secrets.token_hex(6)}")
    modified_ms: int = 0


class Base:
    """One Bitable with one table, and what a person does in it."""

    def __init__(self, desk: Desk, drive: Drive, columns: Sequence[Column] = ()) -> None:
        self.app = f"bas{secrets.token_hex(8)}"
        self.table = f"tbl{secrets.token_hex(6)}"
        self.columns = list(columns)
        self.rows: list[Row] = []
        self.is_advanced = False
        self.may_manage = True  # False with is_advanced: search answers empty
        self.is_shared = True  # False: the app is no collaborator
        self.largest_page = 500  # more is 1254030
        self.stale_pages = 0  # so many page tokens to come are stale
        self.revision = 1
        self._desk, self._drive = desk, drive

    def column(self, name: str) -> Column:
        for column in self.columns:
            if column.name.strip() == name:
                return column
        raise Refusal(1254045, f"FieldNameNotFound {name}")

    def row(self, record_id: str) -> Row:
        return self.by_id([record_id])[record_id]

    def by_id(self, record_ids: Sequence[str]) -> dict[str, Row]:
        known = {row.record_id: row for row in self.rows}
        if any(each not in known for each in record_ids):
            raise Refusal(1254043, "RecordIdNotFound")
        return known

    # a person

    def add(self, cells: Mapping[str, Any], place: int | None = None) -> Row:
        row = Row({self.column(name).field_id: value for name, value in cells.items()})
        self.rows.insert(len(self.rows) if place is None else place, row)
        self.touch(row)
        return row

    def attach(self, content: bytes, name: str) -> dict[str, str]:
        """Return what a person's attachment is in a cell."""
        return {"file_token": self._drive.put(content, name, self.app)}

    def touch(self, row: Row) -> None:
        self.revision += 1
        row.modified_ms = int(self._desk.clock.now().timestamp() * 1000)

    # the app

    def read(self, row: Row, columns: Sequence[Column]) -> dict[str, Any]:
        fields = {}
        for column in columns:
            value = row.cells.get(column.field_id)
            if value is None or value in ("", [], False):
                continue
            fields[column.name.strip()] = self._shown(column, value)
        return fields

    def _shown(self, column: Column, value: Any) -> Any:
        if column.type == 1:
            return value if isinstance(value, list) else [{"type": "text", "text": str(value)}]
        if column.type == 17:
            return [self._file(each["file_token"]) for each in value]
        if column.type in (19, 20):
            return {"type": 1, "value": [{"type": "text", "text": str(value)}]}
        return value

    def _file(self, token: str) -> dict[str, Any]:
        media = self._drive.media[token]
        root = "https://open.feishu.cn/open-apis/drive/v1/medias"
        return {
            "file_token": token,
            "name": media.name,
            "type": "image/png",
            "size": len(media.content),
            "url": f"{root}/{token}/download",
            "tmp_url": f"{root}/batch_get_tmp_download_url?file_tokens={token}",
        }

    def write(self, row: Row, fields: Mapping[str, Any]) -> None:
        for name, value in fields.items():
            column = self.column(name)
            self._check(column, value)
            if value is None:
                row.cells.pop(column.field_id, None)
            else:
                row.cells[column.field_id] = value
            if column.type in (3, 4) and value:
                for word in [value] if column.type == 3 else value:
                    if word not in column.options:
                        column.options.append(word)  # as the documentation warns
        self.touch(row)

    def _check(self, column: Column, value: Any) -> None:
        if column.type in _READ_ONLY:
            raise Refusal(1254015, "Field types do not match: it cannot be written")
        if value is None:
            return
        number = isinstance(value, int | float) and not isinstance(value, bool)
        fits = {
            1: (1254060, isinstance(value, str) and len(value) <= 100_000),
            2: (1254061, number),
            3: (1254062, isinstance(value, str)),
            4: (1254063, isinstance(value, list) and all(isinstance(v, str) for v in value)),
            5: (1254064, number),
            7: (1254065, isinstance(value, bool)),
            13: (1254015, isinstance(value, str)),
            15: (1254068, isinstance(value, dict) and "link" in value),
            17: (1254069, isinstance(value, list) and all("file_token" in v for v in value)),
        }
        code, is_fine = fits.get(column.type, (1254015, False))
        if not is_fine:
            raise Refusal(code, f"{column.name}: the value does not fit")
        if column.type == 17:
            for each in value:
                media = self._drive.media.get(each["file_token"])
                if media is None or media.document != self.app:
                    raise Refusal(1254303, "the attachment does not belong to this base")
            if len(value) > 100:
                raise Refusal(1254106, "too many attachments")


class BitableDoor:
    """The routes of all bases."""

    def __init__(self, desk: Desk, drive: Drive) -> None:
        self._desk, self._drive = desk, drive
        self.bases: dict[str, Base] = {}
        self.lag_reads = 0  # so many batch_gets to come do not know any record yet
        self._pages: dict[str, int] = {}

    def new(self, columns: Sequence[Column]) -> Base:
        base = Base(self._desk, self._drive, columns)
        self.bases[base.app] = base
        return base

    def routes(self) -> dict[str, tuple[str, str, Any]]:
        prefix = "/open-apis/bitable/v1/apps/{app}"
        table = prefix + "/tables/{table}"
        return {
            "bitable.meta": ("GET", prefix, self._meta),
            "bitable.tables": ("GET", prefix + "/tables", self._tables),
            "bitable.fields": ("GET", table + "/fields", self._fields),
            "bitable.new_field": ("POST", table + "/fields", self._new_field),
            "bitable.search": ("POST", table + "/records/search", self._search),
            "bitable.get": ("POST", table + "/records/batch_get", self._get),
            "bitable.update": ("POST", table + "/records/batch_update", self._update),
        }

    def _base(self, request: web.Request) -> Base:
        base = self.bases.get(request.match_info["app"])
        if base is None:
            raise Refusal(91402, "NOTEXIST", 404)
        if not base.is_shared:
            raise Refusal(91403, "FORBIDDEN", 403)
        table = request.match_info.get("table")
        if table is not None and table != base.table:
            raise Refusal(1254041, "TableIdNotFound")
        return base

    async def _meta(self, request: web.Request) -> web.Response:
        base = self._base(request)
        app = {"app_token": base.app, "name": "表", "revision": base.revision}
        return success(
            {"app": {**app, "is_advanced": base.is_advanced, "time_zone": "Asia/Shanghai"}}
        )

    async def _tables(self, request: web.Request) -> web.Response:
        base = self._base(request)
        item = {"table_id": base.table, "revision": base.revision, "name": "数据表"}
        return success({"has_more": False, "page_token": "", "total": 1, "items": [item]})

    async def _fields(self, request: web.Request) -> web.Response:
        base = self._base(request)
        if int(request.query.get("page_size", "20")) > 100:
            raise Refusal(99992402, "field validation failed", 400)
        items = [column.shown() for column in base.columns]
        return success({"has_more": False, "total": len(items), "items": items})

    async def _new_field(self, request: web.Request) -> web.Response:
        base, body = self._base(request), await json_of(request)
        want(body, "field_name", "type", optional=("property", "ui_type", "description"))
        names = [each["name"] for each in (body.get("property") or {}).get("options", [])]
        if any(column.name.strip() == body["field_name"].strip() for column in base.columns):
            raise Refusal(1254014, "FieldNameDuplicated")
        await self._desk.writing(base.app, 1254291)
        base.columns.append(Column(body["field_name"].strip(), body["type"], names))
        return success({"field": base.columns[-1].shown()})

    async def _search(self, request: web.Request) -> web.Response:
        base, query = self._base(request), await json_of(request)
        want(query, optional=("view_id", "field_names", "filter", "sort", "automatic_fields"))
        size = int(request.query.get("page_size", "20"))
        if not 1 <= size <= 500:
            raise Refusal(99992402, "field validation failed", 400)
        if size > base.largest_page:
            raise Refusal(1254030, "TooLargeResponse")
        columns = [base.column(name) for name in query.get("field_names", [])] or base.columns
        check_filter(base, query.get("filter"))
        rows = [row for row in base.rows if passes(base, row, query.get("filter"))]
        if base.is_advanced and not base.may_manage:
            rows = []
        start = self._start(base, request.query.get("page_token", ""))
        page = rows[start : start + size]
        has_more, token = start + size < len(rows), ""
        if has_more:
            token = secrets.token_hex(8)
            self._pages[token] = start + size
        items = [self._record(base, row, columns) for row in page]
        data = {"has_more": has_more, "page_token": token, "total": len(rows), "items": items}
        return success(data)

    def _start(self, base: Base, token: str) -> int:
        if not token:
            return 0
        if base.stale_pages:
            base.stale_pages -= 1
            self._pages.pop(token, None)
        if token not in self._pages:
            raise Refusal(1254002, "Fail: page token is stale")
        return self._pages[token]

    def _record(self, base: Base, row: Row, columns: Sequence[Column]) -> dict[str, Any]:
        return {
            "record_id": row.record_id,
            "fields": base.read(row, columns),
            "created_time": row.modified_ms,
            "last_modified_time": row.modified_ms,
            "last_modified_by": {"id": "ou_x", "name": "x"},
        }

    async def _get(self, request: web.Request) -> web.Response:
        base, body = self._base(request), await json_of(request)
        want(body, "record_ids", optional=("automatic_fields", "with_shared_url", "user_id_type"))
        ids = body["record_ids"]
        if not ids or len(ids) > 100:
            raise Refusal(99992402, "field validation failed", 400)
        known = {row.record_id: row for row in base.rows}
        if self.lag_reads:
            self.lag_reads -= 1
            known = {}
        found = [row for row in base.rows if row.record_id in ids and row.record_id in known]
        records = [self._record(base, row, base.columns) for row in found]
        absent = [each for each in ids if each not in known]
        return success(
            {"records": records, "absent_record_ids": absent, "forbidden_record_ids": []}
        )

    async def _update(self, request: web.Request) -> web.Response:
        base, body = self._base(request), await json_of(request)
        want(body, "records")
        if len(body["records"]) > 500:
            raise Refusal(1254104, "RecordAddOnceExceedLimit, max 500")
        await self._desk.writing(base.app, 1254291)
        for record in body["records"]:  # all or nothing
            want(record, "record_id", "fields")
        rows = base.by_id([record["record_id"] for record in body["records"]])
        for record in body["records"]:
            for name, value in record["fields"].items():
                base._check(base.column(name), value)
        for record in body["records"]:
            base.write(rows[record["record_id"]], record["fields"])
        return success({"records": body["records"]})


def check_filter(base: Base, given: Any) -> None:
    """Refuse what the documentation refuses."""
    if given is None:
        return
    want(given, "conjunction", optional=("conditions", "children"))
    groups = [given, *given.get("children", [])]
    conditions = [each for group in groups for each in group.get("conditions", [])]
    for group in groups:
        if group["conjunction"] not in ("and", "or"):
            raise Refusal(1254018, "InvalidFilter")
    for child in given.get("children", []):
        want(child, "conjunction", "conditions")
    if len(conditions) > 50:
        raise Refusal(1254018, "InvalidFilter: more than 50 conditions")
    for each in conditions:
        want(each, "field_name", "operator", "value")
        column, operator, value = base.column(each["field_name"]), each["operator"], each["value"]
        if operator not in _OPERATORS or column.type in (19, 20):
            raise Refusal(1254018, f"InvalidFilter: {operator} of {column.name}")
        if (operator in ("isEmpty", "isNotEmpty")) != (value == []) or len(value) > 10:
            raise Refusal(1254018, f"InvalidFilter: value of {column.name}")
        if column.type == 17 and operator not in ("isEmpty", "isNotEmpty"):
            raise Refusal(1254018, "InvalidFilter: attachment")
        if column.type == 3 and operator in ("is", "isNot") and len(value) != 1:
            raise Refusal(1254018, "InvalidFilter: one option")
    if len(str(given)) > 2000 * 2:  # ours is longer than the server's own notation
        raise Refusal(1254107, "FilterTooLong")


def passes(base: Base, row: Row, given: Any) -> bool:
    if given is None:
        return True
    results = [holds(base, row, each) for each in given.get("conditions", [])]
    results += [passes(base, row, child) for child in given.get("children", [])]
    return all(results) if given["conjunction"] == "and" else any(results)


def holds(base: Base, row: Row, condition: Mapping[str, Any]) -> bool:
    column = base.column(condition["field_name"])
    value = row.cells.get(column.field_id)
    if isinstance(value, list) and column.type == 1:
        value = "".join(part.get("text", "") for part in value)
    is_empty = value is None or value in ("", [])
    wanted = condition["value"]
    match condition["operator"]:
        case "isEmpty":
            return is_empty
        case "isNotEmpty":
            return not is_empty
        case "is":
            return not is_empty and str(value) in wanted
        case "isNot":
            return is_empty or str(value) not in wanted
        case "contains":
            return not is_empty and any(word in str(value) for word in wanted)
        case "doesNotContain":
            return is_empty or not any(word in str(value) for word in wanted)
    raise Refusal(1254018, "InvalidFilter")
