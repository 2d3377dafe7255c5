"""``archive/YYYY-MM.index.jsonl``: where each task of a month's file lies, a line for each.

Lines are in the order of the members, and of the tasks in a member. A last line that is torn does
not count.
"""

import contextlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from ledger.errors import LedgerDamaged
from ledger.jsondir.journal import first_seq_of
from ledger.jsondir.journals import ARCHIVE
from ledger.task import Task

#: So much is read of a file at a time.
BLOCK_BYTES = 64 * 1024


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """Where an archived task lies, and by what it is looked for."""

    task_id: str
    row_id: str
    workflow_type: str
    batch_id: str
    fingerprint: str | None
    member_at: int  # offset of its gzip member in the month's file, bytes
    member_bytes: int
    line: int  # in the member, the first is 0
    lines: int | None = None  # how many its member has; versions before did not say


decode_entry = msgspec.json.Decoder(Entry).decode


class _Mark(msgspec.Struct, frozen=True, gc=False):
    """What an entry tells of a row that was once accepted."""

    fingerprint: str | None


_marks = msgspec.json.Decoder(_Mark)


def contents(folder: Path) -> list[Path]:
    """Return the files of the archived tasks, the oldest month first."""
    files = (folder / ARCHIVE).glob("*.jsonl.gz")
    return sorted(path for path in files if first_seq_of(path) is None)


def index_of(content: Path) -> Path:
    """Return what stands, or should, beside a month's file."""
    return content.with_name(content.name.replace(".jsonl.gz", ".index.jsonl"))


def entries_of(tasks: Sequence[Task], member_at: int, member_bytes: int) -> bytes:
    """Return the lines that tell of a member and its *tasks*."""
    place = (member_at, member_bytes, len(tasks))
    return b"".join(_entry(task, *place, line) for line, task in enumerate(tasks))


def _entry(task: Task, member_at: int, member_bytes: int, lines: int, line: int) -> bytes:
    source = task.metadata.source
    entry = Entry(
        task_id=task.task_id,
        row_id=task.row_id,
        workflow_type=task.workflow_type,
        batch_id=task.batch_id,
        fingerprint=source.fingerprint if source else None,
        member_at=member_at,
        member_bytes=member_bytes,
        line=line,
        lines=lines,
    )
    return msgspec.json.encode(entry) + b"\n"


def lines_of(index: Path) -> Iterator[bytes]:
    """Yield its whole lines; none when it is not there."""
    for lines in blocks_of(index):
        yield from lines.split(b"\n")


def blocks_of(index: Path, first_byte: int = 0) -> Iterator[bytes]:
    """Yield its whole lines, some at a time, from a line's *first_byte* on.

    The last of each lacks its newline. None when the file is not there.
    """
    with contextlib.suppress(FileNotFoundError), index.open("rb") as file:
        file.seek(first_byte)
        begun = b""
        while block := file.read(BLOCK_BYTES):
            lines, newline, begun = (begun + block).rpartition(b"\n")
            if newline:
                yield lines


def fingerprints_in(lines: bytes, name: str) -> Iterator[str]:
    """Yield those that *lines* of the index *name* tell of, as ``blocks_of`` yields them.

    Raises LedgerDamaged for a line that is none.
    """
    try:
        for mark in map(_marks.decode, lines.split(b"\n")):
            if mark.fingerprint:
                yield mark.fingerprint
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise not_as_written(name) from error


def not_as_written(name: str) -> LedgerDamaged:
    """Return what tells that a file of the archive, which a start makes again, is damaged."""
    return LedgerDamaged(f"{name} is not as it was written; the next start makes it again")


def last_entry(index: Path) -> Entry | None:
    """Return the entry of the newest member without reading all there are."""
    end = whole_lines_bytes(index) if index.exists() else 0
    if not end:
        return None
    with index.open("rb") as file:
        size_bytes = BLOCK_BYTES
        while True:
            file.seek(max(0, end - size_bytes))
            lines = file.read(end - file.tell()).splitlines()
            if len(lines) > 1 or size_bytes >= end:
                return decode_entry(lines[-1])
            size_bytes *= 2


def whole_lines_bytes(index: Path) -> int:
    """Return up to where the file is a row of whole lines."""
    with index.open("rb") as file:
        end = file.seek(0, os.SEEK_END)
        while end > 0:
            start = max(0, end - BLOCK_BYTES)
            file.seek(start)
            newline = file.read(end - start).rfind(b"\n")
            if newline >= 0:
                return start + newline + 1
            end = start
    return 0
