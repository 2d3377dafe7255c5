"""Finished tasks that left the state: ``archive/YYYY-MM.jsonl.gz``, by the month they ended.

A month's file is a row of gzip members; ``YYYY-MM.index.jsonl`` says in which member a task lies,
and is what makes the member count. A crash before it was written leaves bytes behind the last
known member; they are cut off by the next writer. An index that is gone, or cannot be read at a
start, is made again from the members.
"""

import contextlib
import gzip
import os
import zlib
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

import msgspec

from ledger.errors import LedgerDamaged
from ledger.jsondir.files import Disk, corrupt_name
from ledger.jsondir.journal import first_seq_of
from ledger.jsondir.journals import ARCHIVE
from ledger.shelf import decode_task, encode_task
from ledger.task import Task


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


class _Mark(msgspec.Struct, frozen=True, gc=False):
    """What an entry tells of a row that was once accepted."""

    fingerprint: str | None


#: So much is read of a file at a time.
_BLOCK_BYTES = 64 * 1024
#: What zlib takes for "the largest window, and a gzip header".
_GZIP_WINDOW = 16 + zlib.MAX_WBITS

_entries, _marks = msgspec.json.Decoder(Entry), msgspec.json.Decoder(_Mark)


def put(folder: Path, disk: Disk, tasks: Sequence[Task]) -> dict[str, str]:
    """Copy *tasks* durably; returns the month of each by its id."""
    months: dict[str, list[Task]] = {}
    for task in tasks:
        months.setdefault((task.finished_at or task.updated_at)[:7], []).append(task)
    disk.make_folder(folder / ARCHIVE)
    for month, of_month in months.items():
        _put_month(folder / ARCHIVE, disk, month, of_month)
    return {task.task_id: month for month, of_month in months.items() for task in of_month}


def _put_month(archive: Path, disk: Disk, month: str, tasks: Sequence[Task]) -> None:
    content, index = archive / f"{month}.jsonl.gz", archive / f"{month}.index.jsonl"
    if content.exists() and not index.exists():
        _make_index(content, index, disk)
    last = _last_entry(index)
    end = last.member_at + last.member_bytes if last else 0
    if index.exists():
        disk.cut(index, _whole_lines_bytes(index))
    if content.exists():
        disk.cut(content, end)
    end = content.stat().st_size if content.exists() else 0  # less when somebody cut it
    lines = b"".join(encode_task(task) + b"\n" for task in tasks)
    member = gzip.compress(lines, 6, mtime=0)
    disk.append_whole("finished", content, member)
    disk.append_whole("finished_index", index, _entries_of(tasks, end, len(member)))


def mend_indexes(folder: Path, disk: Disk, at: str, *, unreadable: bool = False) -> list[str]:
    """Make again the indexes that are gone, and those that are *unreadable* if it is asked for.

    Returns their names; an unreadable one is kept aside, with *at*, a timestamp, in its name. Needs
    the lock. A crash leaves an index as it was, or whole.
    """
    made: list[str] = []
    for content in _contents(folder):
        index = content.with_name(content.name.replace(".jsonl.gz", ".index.jsonl"))
        is_there = index.exists()
        if is_there and not (unreadable and _is_unreadable(index)):
            continue
        _make_index(content, index, disk, corrupt_name(index, at) if is_there else None)
        made.append(index.name)
    return made


def _make_index(content: Path, index: Path, disk: Disk, kept_as: str | None = None) -> None:
    pieces = (_entries_of(tasks, at, size) for tasks, at, size in _members(content))
    disk.write_whole("finished_index", index, pieces)
    disk.take_place("finished_index", index, keep=index.with_name(kept_as) if kept_as else None)


def _is_unreadable(index: Path) -> bool:
    try:
        for line in _lines_of(index):
            _entries.decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return True
    return False


def _entries_of(tasks: Sequence[Task], member_at: int, member_bytes: int) -> bytes:
    return b"".join(_entry(task, member_at, member_bytes, line) for line, task in enumerate(tasks))


def _entry(task: Task, member_at: int, member_bytes: int, line: int) -> bytes:
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
    )
    return msgspec.json.encode(entry) + b"\n"


def find(folder: Path, task_id: str) -> Task | None:
    """Return the archived task, None when there is none of this id.

    Raises LedgerDamaged when its member is not as it was written, as do the next two.
    """
    for index in sorted((folder / ARCHIVE).glob("*.index.jsonl"), reverse=True):
        found = [entry for entry in _entries_with(index, task_id) if entry.task_id == task_id]
        if found:
            return _read_task(index, found[-1])
    return None


def find_all(folder: Path, task_ids: Collection[str]) -> dict[str, Task]:
    """Return those of the tasks that are archived, by id; what holds many of them is read once."""
    tasks: dict[str, Task] = {}
    for index in sorted((folder / ARCHIVE).glob("*.index.jsonl")):
        members: dict[tuple[int, int], list[Entry]] = {}
        for entry in map(_entries.decode, _lines_of(index)):
            if entry.task_id in task_ids:
                members.setdefault((entry.member_at, entry.member_bytes), []).append(entry)
        for (at, size_bytes), entries in members.items():
            lines = _member(index, at, size_bytes).splitlines()
            tasks |= {entry.task_id: decode_task(lines[entry.line]) for entry in entries}
    return tasks


def family(folder: Path, row_id: str, workflow_type: str) -> list[Task]:
    """Return the archived tasks of a family, oldest first."""
    tasks: dict[str, Task] = {}
    for index in sorted((folder / ARCHIVE).glob("*.index.jsonl")):
        for entry in _entries_with(index, row_id):
            if (entry.row_id, entry.workflow_type) == (row_id, workflow_type):
                tasks[entry.task_id] = _read_task(index, entry)
    return sorted(tasks.values(), key=lambda task: (task.created_at, task.retry_number))


def every_task(folder: Path) -> Iterator[Task]:
    """Yield all archived tasks; one that was archived twice, twice."""
    for index in sorted((folder / ARCHIVE).glob("*.index.jsonl")):
        entries = map(_entries.decode, _lines_of(index))
        members = {(entry.member_at, entry.member_bytes) for entry in entries}
        for at, size in sorted(members):
            for line in _member(index, at, size).splitlines():
                yield decode_task(line)


def month_files(folder: Path) -> list[Path]:
    """Return the files of the archived tasks: of each month its content, then its index.

    Copied in this order while a writer is at work, an index never tells of more than is there.
    """
    return [*_contents(folder), *sorted((folder / ARCHIVE).glob("*.index.jsonl"))]


def _contents(folder: Path) -> list[Path]:
    files = (folder / ARCHIVE).glob("*.jsonl.gz")
    return sorted(path for path in files if first_seq_of(path) is None)


def fingerprints(folder: Path) -> Iterator[str]:
    """Yield the fingerprints of all archived rows; what is read is let go line by line."""
    for index in (folder / ARCHIVE).glob("*.index.jsonl"):
        for mark in map(_marks.decode, _lines_of(index)):
            if mark.fingerprint:
                yield mark.fingerprint


def _read_task(index: Path, entry: Entry) -> Task:
    lines = _member(index, entry.member_at, entry.member_bytes).splitlines()
    return decode_task(lines[entry.line])


def _member(index: Path, at: int, size_bytes: int) -> bytes:
    content = index.with_name(index.name.replace(".index.jsonl", ".jsonl.gz"))
    try:
        with content.open("rb") as file:
            file.seek(at)
            return gzip.decompress(file.read(size_bytes))
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        last = at + size_bytes - 1
        raise LedgerDamaged(f"{content.name}: bytes {at}-{last} are damaged") from error


def _members(content: Path) -> Iterator[tuple[list[Task], int, int]]:
    """Yield each member's tasks, its offset and its length, up to the first that is not whole."""
    with content.open("rb") as file:
        at = 0
        while True:
            file.seek(at)
            unpacker, unpacked = zlib.decompressobj(_GZIP_WINDOW), b""
            try:
                while not unpacker.eof and (block := file.read(_BLOCK_BYTES)):
                    unpacked += unpacker.decompress(block)
                tasks = [decode_task(line) for line in unpacked.splitlines()]
            except (zlib.error, msgspec.MsgspecError, UnicodeDecodeError):
                return
            if not unpacker.eof:
                return
            end = file.tell() - len(unpacker.unused_data)
            yield tasks, at, end - at
            at = end


def _entries_with(index: Path, text: str) -> Iterator[Entry]:
    """Yield the entries that hold *text* somewhere; the others are not decoded."""
    wanted = msgspec.json.encode(text)
    for lines in _blocks_of(index):
        if wanted in lines:
            yield from (_entries.decode(line) for line in lines.split(b"\n") if wanted in line)


def _lines_of(index: Path) -> Iterator[bytes]:
    for lines in _blocks_of(index):
        yield from lines.split(b"\n")


def _blocks_of(index: Path) -> Iterator[bytes]:
    """Yield its whole lines, some at a time; a last one that is torn does not count."""
    with contextlib.suppress(FileNotFoundError), index.open("rb") as file:
        begun = b""
        while block := file.read(_BLOCK_BYTES):
            lines, newline, begun = (begun + block).rpartition(b"\n")
            if newline:
                yield lines


def _last_entry(index: Path) -> Entry | None:
    """Return the entry of the newest member without reading all there are."""
    end = _whole_lines_bytes(index) if index.exists() else 0
    if not end:
        return None
    with index.open("rb") as file:
        size_bytes = _BLOCK_BYTES
        while True:
            file.seek(max(0, end - size_bytes))
            lines = file.read(end - file.tell()).splitlines()
            if len(lines) > 1 or size_bytes >= end:
                return _entries.decode(lines[-1])
            size_bytes *= 2


def _whole_lines_bytes(index: Path) -> int:
    """Return up to where the file is a row of whole lines."""
    with index.open("rb") as file:
        end = file.seek(0, os.SEEK_END)
        while end > 0:
            start = max(0, end - _BLOCK_BYTES)
            file.seek(start)
            newline = file.read(end - start).rfind(b"\n")
            if newline >= 0:
                return start + newline + 1
            end = start
    return 0
