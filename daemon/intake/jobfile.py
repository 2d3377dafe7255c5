"""The bytes of a job file → its rows; pure. ``read_job_file`` is the way in.

A fault of one row makes that row a problem, a fault of the file makes it Unreadable.
"""

import csv
import io
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice

import msgspec

from daemon.intake.columns import REPORT_COLUMNS, REPORT_TEXT, key_of, tidy
from daemon.intake.errors import Unreadable
from daemon.intake.grid import (
    MAX_ROWS,
    JobFile,
    Line,
    RawRow,
    read_grid,
    refuse_strange_columns,
)
from daemon.intake.json_text import loads, too_large
from daemon.intake.reasons import Reason, because, cut, shown
from ledger.task import Json

#: What may be asked for all rows of a job file, each with true or false.
OPTIONS = ("rerun",)
MAX_JOB_FILE_BYTES = 32 * 1024 * 1024  # reading takes some ten times that
_MAX_LINE_CHARACTERS = 1_000_000
_MAX_JSON_PARTS = 500_000  # small parts take far more memory than text
_SHOWN_CHARACTERS = 2000  # of a line that cannot be read, in the report
_HOPELESS_LINES = 1000  # so many lines of JSONL without a readable one are enough

#: Some programs write it above the headings, for Excel.
_DELIMITER_LINE = re.compile(r"sep=([,;\t|])\r?\n", re.IGNORECASE)

_FOREIGN = {
    b"PK\x03\x04": "a_zip",
    b"\xd0\xcf\x11\xe0": "an_old_workbook",
    b"%PDF": "a_pdf",
    b"\x89PNG": "a_png",
    b"\xff\xd8\xff": "a_jpeg",
}


def read_job_file(name: str, data: bytes, known: frozenset[str]) -> JobFile:
    """Return the rows of the job file *name*; *known* are the columns that mean something.

    Raises Unreadable, with the reason for its maker, when no row can be taken from it.
    """
    _, dot, ending = name.rpartition(".")
    suffix = f".{ending.lower()}"
    if not dot:
        raise Unreadable("no_ending", known=", ".join(_READERS))
    if suffix not in _READERS:
        raise Unreadable("no_job_file", suffix=suffix, known=", ".join(_READERS))
    if len(data) > MAX_JOB_FILE_BYTES:
        raise too_big(len(data))
    if not data.strip():
        raise Unreadable("empty_file")
    job = _READERS[suffix](data, known)
    if not job.rows:
        raise Unreadable("no_rows")
    return job


def too_big(size_bytes: int) -> Unreadable:
    """Return the error for a job file of this size."""
    size, limit = size_bytes / 1e6, MAX_JOB_FILE_BYTES / 1e6
    return Unreadable("too_big", size=f"{size:.0f}", limit=f"{limit:.0f}")


def _decode(data: bytes) -> str:
    for magic, kind in _FOREIGN.items():
        if data.startswith(magic):
            raise Unreadable("no_text", kind=because(kind))
    for encoding in _encodings(data):
        try:
            return data.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise Unreadable("encoding")


def _encodings(data: bytes) -> Sequence[str]:
    """Return in which encodings *data* may be; UTF-16 without a mark shows at its line ends."""
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return ("utf-16",)
    for encoding, line_end, other_half in (("utf-16-le", b"\n\0", 0), ("utf-16-be", b"\0\n", 1)):
        if line_end in data and b"\0" not in data[other_half::2]:
            return (encoding,)
    return ("utf-8-sig", "gb18030")


def _read_csv(data: bytes, known: frozenset[str]) -> JobFile:
    text = _decode(data)
    if (declared := _DELIMITER_LINE.match(text)) is not None:
        return read_grid(islice(_csv_lines(text, declared[1]), 1, None), known)
    return read_grid(_csv_lines(text, _delimiter(text)), known)


def _delimiter(text: str) -> str:
    first = (text.lstrip()[:10_000].splitlines() or [""])[0]
    return max(",;\t", key=first.count)


def _csv_lines(text: str, delimiter: str) -> Iterator[Line]:
    """Yield the lines, their cells tidy: decoded text has no half of a surrogate pair."""
    may_be_unwritten = "\0" in text
    reader = csv.reader(_short_lines(text, newline=""), delimiter=delimiter, strict=True)
    number = 1
    try:
        for cells in reader:
            problems = _unwritten(cells) if may_be_unwritten else None
            yield Line(number, [cell.strip() for cell in cells], problems)
            number = reader.line_num + 1  # a cell may hold line breaks
    except csv.Error as error:
        raise Unreadable("no_csv", line=str(number), said=str(error)) from error


def _unwritten(cells: Sequence[str]) -> dict[int, Reason]:
    """Return what is wrong with cells that hold NUL: a disk that was full leaves such lines."""
    return {place: because("nul_bytes") for place, cell in enumerate(cells) if "\0" in cell}


def _short_lines(text: str, newline: str) -> Iterator[str]:
    """Yield the lines; one of megabytes would become millions of cells."""
    for line in io.StringIO(text, newline=newline):
        if len(line) > _MAX_LINE_CHARACTERS:
            raise Unreadable("long_line", limit=str(_MAX_LINE_CHARACTERS))
        yield line


def _read_json(data: bytes, known: frozenset[str]) -> JobFile:
    data = _decode(data).encode()
    if max(data.count(b"{"), data.count(b"["), data.count(b",") // 10) > _MAX_JSON_PARTS:
        raise Unreadable("many_parts")
    content = loads(data)
    options: dict[str, Json] = {}
    if isinstance(content, dict) and "rows" in content:
        options = _options(content.get("options") or {})
        content = content["rows"]
        if not isinstance(content, list):
            raise Unreadable("rows_no_list")
    if isinstance(content, dict):
        content = [content]
    if not isinstance(content, list):
        raise Unreadable("json_shape")
    if len(content) > MAX_ROWS:
        raise Unreadable("many_rows", limit=str(MAX_ROWS))
    names: dict[str, str] = {}
    rows = tuple(object_row(number, item, names) for number, item in enumerate(content, 1))
    return JobFile(rows=rows, options=options, headings=_headings_of(rows, names, known))


def _options(given: Json) -> dict[str, Json]:
    """Return the options of a job; raises Unreadable for one that would do nothing."""
    if not isinstance(given, dict):
        raise Unreadable("options_no_object")
    if unknown := [name for name in given if name not in OPTIONS]:
        listed = ", ".join(f"“{cut(name)}”" for name in unknown)
        raise Unreadable("unknown_options", names=listed, known=", ".join(OPTIONS))
    for name, value in given.items():
        if not isinstance(value, bool):
            raise Unreadable("option_no_bool", name=name)
    return given


def _read_jsonl(data: bytes, known: frozenset[str]) -> JobFile:
    rows: list[RawRow] = []
    names: dict[str, str] = {}
    for line, text in enumerate(_short_lines(_decode(data), newline="\n"), 1):
        if not text.strip():
            continue
        if len(rows) >= MAX_ROWS:
            raise Unreadable("many_rows", limit=str(MAX_ROWS))
        rows.append(_row_of_text(line, len(rows) + 1, text, names))
        if len(rows) == _HOPELESS_LINES:
            _refuse_hopeless(rows)
    _refuse_hopeless(rows)
    return JobFile(rows=tuple(rows), headings=_headings_of(rows, names, known))


def _row_of_text(line: int, ordinal: int, text: str, names: dict[str, str]) -> RawRow:
    try:
        item = loads(text.encode(), line)
    except Unreadable as error:
        found: dict[str, Json] = {REPORT_TEXT: text.strip()[:_SHOWN_CHARACTERS]}
        return RawRow(line=line, ordinal=ordinal, values=found, problem=error.reason)
    return msgspec.structs.replace(object_row(ordinal, item, names), line=line)


def _refuse_hopeless(rows: Sequence[RawRow]) -> None:
    problems = [row.problem for row in rows if row.problem is not None]
    if problems and len(problems) == len(rows):
        raise Unreadable("no_line", first=problems[0])


def _headings_of(
    rows: Sequence[RawRow], names: Mapping[str, str], known: frozenset[str]
) -> dict[str, str]:
    """Return what rows that can be read call their cells; raises Unreadable when none is known."""
    keys = dict.fromkeys(key for row in rows if row.problem is None for key in row.values)
    headings = {key: names[key] for key in keys}
    if keys:
        refuse_strange_columns(keys, headings.values(), known)
    return headings


def object_row(number: int, item: Json, names: dict[str, str]) -> RawRow:
    """Return the row that the *number*-th JSON object says; anything else makes a problem.

    What its members are called is added to *names*, by key, unless another row called them before.
    """
    if not isinstance(item, dict):
        found: dict[str, Json] = {REPORT_TEXT: _as_json(item)}
        return RawRow(line=number, ordinal=number, values=found, problem=because("no_object"))
    values: dict[str, Json] = {}
    problem = None
    for name, given in item.items():
        heading, value = str(tidy(name)), tidy(given)
        key = key_of(heading)
        if value in (None, "") or key in REPORT_COLUMNS:
            continue
        names.setdefault(key, heading)
        if key in values and values[key] != value:
            problem = because("twice", column=shown(key))
        problem = problem or too_large(key, given)
        values[key] = value
    return RawRow(line=number, ordinal=number, values=values, problem=problem)


def _read_workbook(data: bytes, known: frozenset[str]) -> JobFile:
    from daemon.intake.workbook import read_workbook  # noqa: PLC0415 - openpyxl is 5 MB and slow

    return read_workbook(data, known)


def _as_json(item: Json) -> str:
    return msgspec.json.encode(item).decode(errors="replace")[:_SHOWN_CHARACTERS]


_READERS: dict[str, Callable[[bytes, frozenset[str]], JobFile]] = {
    ".csv": _read_csv,
    ".xlsx": _read_workbook,
    ".json": _read_json,
    ".jsonl": _read_jsonl,
}
JOB_SUFFIXES = frozenset(_READERS)
