"""Cells of a Bitable, by the type of their column: as Feishu tells them ↔ as the daemon has them.

Pure. Reading is tolerant, for shapes differ by column and by age; writing is exact.
"""

import re
from collections.abc import Sequence
from datetime import datetime
from typing import TypeAlias

from daemon.feishu.bitable import Field, FieldType
from daemon.tables.cells import CellFile, ResultFile, Value, as_text
from daemon.tables.columns import STATUS_KEYS
from daemon.tables.errors import Phrase, Trouble
from daemon.tables.status import RowStatus, read_status, status_word
from daemon.words import LANGUAGES
from ledger.task import Json

#: What a cell holds: a value, files, or nothing.
Held: TypeAlias = Json | tuple[CellFile, ...]

#: In the order of LANGUAGES.
TYPE_NAMES = {
    FieldType.TEXT: ("文本", "Text"),
    FieldType.NUMBER: ("数字", "Number"),
    FieldType.SINGLE_SELECT: ("单选", "Single option"),
    FieldType.MULTI_SELECT: ("多选", "Multiple options"),
    FieldType.DATE: ("日期", "Date"),
    FieldType.CHECKBOX: ("复选框", "Checkbox"),
    FieldType.PHONE: ("电话", "Phone"),
    FieldType.URL: ("超链接", "Link"),
    FieldType.ATTACHMENT: ("附件", "Attachment"),
    FieldType.LOOKUP: ("查找引用", "Lookup"),
    FieldType.FORMULA: ("公式", "Formula"),
    FieldType.AUTO_NUMBER: ("自动编号", "Auto number"),
}
#: Columns whose cells change without anybody changing the row.
RESTLESS = frozenset({FieldType.LOOKUP, FieldType.FORMULA, 1001, 1002, 1003, 1004})
_CHECKED = "是"
_OURS = re.compile(r"_rk[0-9a-f]{8}(?:\.[^.]*)?")


class Unfit(Exception):
    """The column does not take the value; ``trouble`` says which would."""

    def __init__(self, field: Field, value: str, wanted: FieldType) -> None:
        types = {"type": type_name(field.type), "wanted": type_name(wanted)}
        names = {"column": field.name, "value": value[:60]}
        self.trouble = Trouble(code="feishu_unfit", values=names, phrases=types)
        super().__init__(value)


def type_name(number: int) -> Phrase:
    """Return what people know a type of column as, in each language of Feishu's own pages."""
    names = TYPE_NAMES.get(number, (str(number), str(number)))  # type: ignore[call-overload]
    return dict(zip(LANGUAGES, names, strict=True))


def held(field: Field, value: Json) -> Held:
    """Return what a cell holds; None for nothing."""
    match value:
        case None | "" | []:
            return None
        case {"type": int(kind), "value": inner}:  # a lookup or formula says its own type
            return held(Field(field.field_id, field.field_name, kind), inner)
        case bool():
            return _CHECKED if value else None
        case int() | float() if field.type == FieldType.DATE:
            return datetime.fromtimestamp(value / 1000).astimezone().strftime("%Y-%m-%d %H:%M:%S")
        case [{"file_token": str()}, *_]:
            return tuple(_file(each) for each in value)
        case int() | float() | str():
            return value
        case _:
            return text_of(value) or None


def _file(attachment: Json) -> CellFile:
    assert isinstance(attachment, dict)  # noqa: S101 - told by its file_token
    size = attachment.get("size")
    token, name = str(attachment.get("file_token")), str(attachment.get("name") or "")
    return CellFile(token=token, name=name, size_bytes=size if isinstance(size, int) else None)


def text_of(value: Json) -> str:
    """Return what people read in a cell: segments joined, links and mentions by their text."""
    match value:
        case None:
            return ""
        case list():
            is_text = all(isinstance(each, dict) and "text" in each for each in value)
            return ("" if is_text else ", ").join(text_of(each) for each in value)
        case {"text": text}:
            return str(text)
        case {"value": inner}:
            return text_of(inner)
        case {"full_address": name} | {"name": name} | {"link": name}:
            return str(name)
        case {"link_record_ids": list(ids)}:
            return ", ".join(str(each) for each in ids)
        case _:
            return as_text(value)


def is_same(field: Field, key: str, found: Json, wanted: Value) -> bool:
    """Say whether a cell holds *wanted* already, as people see it. Raises Unfit.

    For files in attachment columns see ``attached``.
    """
    if field.type == FieldType.CHECKBOX and not isinstance(wanted, tuple):
        return bool(found) is _is_checked(wanted)
    now = held(field, found)
    told = text_of(_told(field, wanted)) if isinstance(wanted, tuple) else as_text(wanted)
    if told and field.type in {FieldType.SINGLE_SELECT, FieldType.MULTI_SELECT}:
        told = _option(field, key, told)
    return not isinstance(now, tuple) and as_text(now) == told


def written(field: Field, key: str, value: Value) -> Json:
    """Return *value* as the column takes it; None empties the cell. Raises Unfit.

    Files become text here; for attachment columns see ``attached``.
    """
    if isinstance(value, tuple):
        if field.type == FieldType.ATTACHMENT:
            raise TypeError("attachments need what the cell holds")
        return _told(field, value)
    if value is None or value == "":
        return None
    match field.type:
        case FieldType.TEXT | FieldType.PHONE:
            return as_text(value)
        case FieldType.NUMBER:
            return _number(field, value)
        case FieldType.SINGLE_SELECT:
            return _option(field, key, as_text(value))
        case FieldType.MULTI_SELECT:
            return [_option(field, key, as_text(value))]
        case FieldType.DATE:
            return _milliseconds(field, as_text(value))
        case FieldType.CHECKBOX:
            return _is_checked(value)
        case _:
            raise Unfit(field, as_text(value), FieldType.TEXT)


def attached(found: Json, files: Sequence[ResultFile]) -> list[Json] | None:
    """Return the cell with our *files* behind the files of others, None when it is so already.

    Files that an earlier result put there go; a file is known as ours by its name.
    """
    there = [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []
    now = [str(each.get("file_token")) for each in there]
    ours = [file.token for file in files if file.token]
    others = [
        token
        for token, each in zip(now, there, strict=True)
        if token not in ours and not is_ours(str(each.get("name") or ""))
    ]
    wanted = [*others, *ours]
    return None if now == wanted else [{"file_token": token} for token in wanted]


def tokens_of(cell: Json) -> set[str]:
    """Return the tokens of the files in an attachment cell."""
    files = cell if isinstance(cell, list) else []
    return {str(each.get("file_token")) for each in files if isinstance(each, dict)}


def our_name(file: ResultFile) -> str:
    """Return what a result is called in a cell: its name with a mark of its content."""
    stem, dot, suffix = file.name.rpartition(".")
    marked = f"{stem if dot else suffix}_rk{file.sha256[:8]}"
    return f"{marked}.{suffix}" if dot else marked


def is_ours(name: str) -> bool:
    """Say whether a file in a cell was put there by us."""
    return _OURS.search(name) is not None and _OURS.split(name)[-1] == ""


def _told(field: Field, files: Sequence[ResultFile]) -> Json:
    """Return results as text, for a column that takes no files."""
    if not files:
        return None
    link = next((file.link for file in files if file.link), None)
    if field.type == FieldType.URL and link:
        return {"text": files[0].name, "link": link}
    if field.type != FieldType.TEXT:
        raise Unfit(field, files[0].name, FieldType.ATTACHMENT)
    return "; ".join(file.link or file.recorded for file in files)


def _number(field: Field, value: str | float) -> float:
    try:
        return float(value)
    except ValueError:
        raise Unfit(field, str(value), FieldType.TEXT) from None


def _milliseconds(field: Field, value: str) -> int:
    """Return a moment; one without a zone is the machine's own time, as people there read it."""
    try:
        return int(datetime.fromisoformat(value).timestamp() * 1000)
    except ValueError:
        raise Unfit(field, value, FieldType.TEXT) from None


def _option(field: Field, key: str, word: str) -> str:
    """Return the choice for *word*: an unknown one would silently become a new choice."""
    if key in STATUS_KEYS and word not in field.options:
        status = read_status(word)
        return next((each for each in field.options if read_status(each) is status), word)
    return word


def _is_checked(value: Value) -> bool:
    return value == _CHECKED or read_status(as_text(value)) is RowStatus.DONE  # type: ignore[arg-type]


def type_for(key: str, language: str) -> tuple[FieldType, Sequence[str]]:
    """Return what kind of column suits what we write under *key*, and its choices.

    These are the words that are written in "zh" or "en"; where a column has choices already, see
    ``_option``.
    """
    match key:
        case "status":
            ours = (status for status in RowStatus if status is not RowStatus.SKIPPED)
            return FieldType.SINGLE_SELECT, [status_word(status, language) for status in ours]
        case "output_image" | "output_video":
            return FieldType.ATTACHMENT, ()
        case "retry_count":
            return FieldType.NUMBER, ()
        case _:
            return FieldType.TEXT, ()
