"""What `check` says of a Feishu table: token, document, rights, each column, a write on request."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from daemon.feishu.bitable import Bitable, Field, FieldType, Record
from daemon.feishu.client import Client
from daemon.feishu.errors import FeishuError
from daemon.feishu.sheets import Sheet, Spreadsheet, cell
from daemon.feishu.wiki import NoDocument
from daemon.tables.cells import Finding, Level
from daemon.tables.columns import Columns, Naming, insist_on_columns
from daemon.tables.errors import TableError, Trouble
from daemon.tables.feishu_grid import SheetGrid
from daemon.tables.feishu_rows import BitableColumns
from daemon.tables.feishu_troubles import trouble_of
from daemon.tables.feishu_values import text_of, type_name
from daemon.words.headings import OUR_HEADINGS

#: Column types that take what we write under a key; all others take plain words.
_WORDS = (FieldType.TEXT, FieldType.SINGLE_SELECT)
_TAKEN: Mapping[str, tuple[FieldType, ...]] = {
    "output_image": (FieldType.ATTACHMENT, FieldType.TEXT),
    "output_video": (FieldType.ATTACHMENT, FieldType.TEXT, FieldType.URL),
    "started_at": (FieldType.TEXT, FieldType.DATE),
    "finished_at": (FieldType.TEXT, FieldType.DATE),
    "retry_count": (FieldType.NUMBER, FieldType.TEXT),
    "task_id": (FieldType.TEXT,),
    "error": (FieldType.TEXT,),
    "image_done": (*_WORDS, FieldType.CHECKBOX),
    "video_done": (*_WORDS, FieldType.CHECKBOX),
}


class OpenedBitable(Protocol):
    """What is needed of the table."""

    naming: Naming

    async def opened(self) -> tuple[Bitable, BitableColumns]: ...  # noqa: D102


async def at_bitable(
    table: OpenedBitable, client: Client, *, write_test: bool
) -> Sequence[Finding]:
    """Return the findings on a Bitable; what goes wrong ends them with its own."""
    findings: list[Finding] = []
    try:
        bitable, known = await table.opened()
        columns = known.columns
        app = await bitable.meta()
        findings += [ok("feishu_check_bitable", name=app.name), quota(client)]
        insist_on_columns(columns, table.naming)
        findings += [_column(key, known.fields[name]) for key, name in columns.headings.items()]
        records = await bitable.search([])
        if app.is_advanced and not records:
            findings.append(Finding(level=Level.FAIL, trouble=Trouble(code="feishu_empty")))
        if write_test and records:
            await _write(bitable, records[0], columns)
            findings.append(ok("feishu_check_written"))
    except (FeishuError, TableError, NoDocument) as error:
        findings.append(failure(error))
    return findings


def failure(error: FeishuError | TableError | NoDocument) -> Finding:
    """Return what went wrong as a finding."""
    match error:
        case FeishuError():
            trouble = trouble_of(error)
        case TableError():
            trouble = error.trouble
        case _:
            trouble = Trouble(code=f"feishu_{error.about}", values={"said": error.said})
    return Finding(level=Level.FAIL, trouble=trouble)


class OpenedSheet(Protocol):
    """What is needed of the table."""

    naming: Naming

    async def opened(self) -> tuple[Spreadsheet, Sheet, SheetGrid, Columns]: ...  # noqa: D102


async def at_sheet(table: OpenedSheet, client: Client, *, write_test: bool) -> Sequence[Finding]:
    """Return the findings on a sheet; the test writes below its last row and empties that again."""
    findings: list[Finding] = []
    try:
        spreadsheet, sheet, grid, columns = await table.opened()
        findings += [ok("feishu_check_sheet", name=sheet.title), quota(client)]
        insist_on_columns(columns, table.naming)
        findings.append(ok("readable", rows=str(len(grid.lines))))
        if write_test:
            last = max([grid.heading_number, *(line.number for line in grid.lines)])
            spot = cell(sheet.sheet_id, last + 1, columns.found["task_id"])
            async with spreadsheet.writing():
                await spreadsheet.write({spot: "rowkeeper"})
                await spreadsheet.write({spot: ""})
            findings.append(ok("feishu_check_written"))
    except (FeishuError, TableError, NoDocument) as error:
        findings.append(failure(error))
    return findings


async def _write(bitable: Bitable, record: Record, columns: Columns) -> None:
    """Give a cell of ours the value it holds: nobody sees it, and Feishu checks the right to."""
    heading = columns.headings["error" if "error" in columns else "task_id"]
    await bitable.update({record.record_id: {heading: text_of(record.fields.get(heading)) or None}})


def quota(client: Client) -> Finding:
    """Return how many calls this month has seen."""
    spent = client.quota
    values = {"calls": str(spent.calls), "budget": str(spent.budget or "–")}
    level = Level.WARN if spent.nearly_spent or spent.paused_by else Level.OK
    return Finding(level=level, trouble=Trouble(code="feishu_check_quota", values=values))


def _column(key: str, field: Field) -> Finding:
    """Return of which type a column is, and whether that takes what we write there."""
    values, types = {"column": field.name}, {"type": type_name(field.type)}
    level, code = Level.OK, "feishu_check_column"
    taken = _TAKEN.get(key, _WORDS if key in OUR_HEADINGS else None)
    if taken is not None and field.type not in taken:
        level, code = Level.FAIL, "feishu_check_column_type"
        types["wanted"] = type_name(taken[0])
    return Finding(level=level, trouble=Trouble(code=code, values=values, phrases=types))


def ok(code: str, **values: str) -> Finding:
    """Return a finding that all is well with something."""
    return Finding(level=Level.OK, trouble=Trouble(code=code, values=values))
