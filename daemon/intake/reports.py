"""What comes back to whoever made a drop: rejected rows, duplicates, or why nothing was taken."""

import csv
import hashlib
import io
import itertools
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import msgspec
import orjson

from daemon.durable import sync_folder
from daemon.intake.columns import REPORT_COLUMNS, REPORT_LINE, REPORT_REASON, REPORT_TEXT
from daemon.intake.rows import RefusedRow
from daemon.words import LANGUAGES, Words

_MAX_NAME_BYTES = 200  # of 255, so that endings and numbers have room


class ReportedRow(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A row that did not run, as its report says it."""

    line: int
    values: dict[str, object]  # as in the file
    reason: str

    @classmethod
    def of(cls, row: RefusedRow, words: Words) -> "ReportedRow":
        """Return what the report says of *row*, in the language of *words*."""
        return cls(line=row.line, values=row.values, reason=row.text(words))


def rows_report(rows: Sequence[ReportedRow], headings: Mapping[str, str]) -> bytes:
    """Return *rows* as CSV that opens in Excel and can, once corrected, be dropped again.

    The first columns say where the row stood, why it did not run and, where no columns could be
    read, what stood there; read back, they are ignored. *headings* are those of the file it came
    from, by key.
    """
    keys = list(dict.fromkeys([*headings, *(key for row in rows for key in row.values)]))
    texts = [REPORT_TEXT] if REPORT_TEXT in keys else []
    keys = texts + [key for key in keys if key not in REPORT_COLUMNS]
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow([REPORT_LINE, REPORT_REASON, *(headings.get(key, key) for key in keys)])
    for row in rows:
        writer.writerow([row.line, row.reason, *(_cell(row.values.get(key)) for key in keys)])
    return b"\xef\xbb\xbf" + text.getvalue().encode()


def error_report(name: str, reason: str, at: str, words: Words) -> bytes:
    """Return the text that lies beside a drop of which nothing could be taken."""
    why = words("report.why", reason=reason)
    return words("report.nothing_taken", name=name, why=why, at=at).encode()


def reason_in(report: str) -> str:
    """Return the reason that an ``error_report`` of either language gives; all of another text."""
    for language in LANGUAGES:
        before, after = Words(language)("report.why", reason="\n").split("\n")
        for line in report.splitlines():
            if line.startswith(before):
                return line.removeprefix(before).removesuffix(after)
    return report.strip()


def write_report(folder: Path, name: str, ending: str, content: bytes) -> Path:
    """Write *content* into *folder* as *name* + *ending*, numbered when that is taken.

    A file that says the same already is that report: so a crash and a second call leave one.
    The report and its name survive a power loss on return.
    """
    folder.mkdir(exist_ok=True)
    draft = folder / f".{hashlib.sha256(name.encode() + content).hexdigest()[:24]}.tmp"
    with draft.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    try:
        target = _name_draft(draft, free_names(folder, name, ending), content)
    finally:
        draft.unlink(missing_ok=True)
    sync_folder(folder)
    return target


def _name_draft(draft: Path, targets: Iterator[Path], content: bytes) -> Path:
    """Give *draft* the first of *targets* that no other file has."""
    for target in targets:
        try:
            os.link(draft, target)
        except FileExistsError:
            if target.is_file() and target.read_bytes() == content:
                return target
        except OSError:  # a file system without links
            if not os.path.lexists(target):
                return draft.rename(target)
        else:
            return target
    raise AssertionError("there is always a further number")


def free_names(folder: Path, name: str, ending: str) -> Iterator[Path]:
    """Yield paths in *folder* to try: *name* + *ending*, then with a number between them."""
    head = os.fsencode(name)[:_MAX_NAME_BYTES]
    yield folder / (_shortened(head) + ending)
    for number in itertools.count(2):
        yield folder / f"{_shortened(head)}-{number}{ending}"


def _shortened(name: bytes) -> str:
    if len(name) < _MAX_NAME_BYTES:
        return os.fsdecode(name)
    return name.decode(errors="ignore") or "drop"  # cut between characters, not inside one


def _cell(value: object) -> object:
    return orjson.dumps(value).decode() if isinstance(value, bool | list | dict) else value
