"""Finished tasks that left the state: ``archive/YYYY-MM.jsonl.gz``, by the month they ended.

A month's file is a row of gzip members; ``YYYY-MM.index.jsonl`` says in which member a task lies,
and is what makes the member count. A crash before it was written leaves bytes behind the last
known member; they are cut off by the next writer. What an index lacks is made again from the
members (``archive_mending``).
"""

import gzip
import zlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from ledger.archiving import Archived, oldest_first
from ledger.errors import LedgerDamaged
from ledger.jsondir.archive_index import (
    Entry,
    blocks_of,
    contents,
    decode_entry,
    entries_of,
    fingerprints_in,
    last_entry,
    lines_of,
    whole_lines_bytes,
)
from ledger.jsondir.archive_mending import mend_index
from ledger.jsondir.files import Disk
from ledger.jsondir.journals import ARCHIVE
from ledger.shelf import decode_task, encode_task
from ledger.task import Task


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
        mend_index(content, disk)
    last = last_entry(index)
    end = last.member_at + last.member_bytes if last else 0
    if index.exists():
        disk.cut(index, whole_lines_bytes(index))
    if content.exists():
        disk.cut(content, end)
    end = content.stat().st_size if content.exists() else 0  # less when somebody cut it
    lines = b"".join(encode_task(task) + b"\n" for task in tasks)
    member = gzip.compress(lines, 6, mtime=0)
    disk.append_whole("finished", content, member)
    disk.append_whole("finished_index", index, entries_of(tasks, end, len(member)))


def find(folder: Path, task_id: str) -> Task | None:
    """Return the archived task, None when there is none of this id.

    Raises LedgerDamaged when its member, or what tells of it, is not as it was written, as does
    ``family``.
    """
    for index in sorted((folder / ARCHIVE).glob("*.index.jsonl"), reverse=True):
        found = [entry for entry in _entries_with(index, task_id) if entry.task_id == task_id]
        if found:
            return _read_task(index, found[-1])
    return None


def find_all(folder: Path, task_ids: Collection[str], rows: Collection[str] = ()) -> Archived:
    """Return those of the tasks that are archived, and all tasks of *rows*, given by their ids.

    What holds many of them is read once.
    What is not as it was written costs no other task.
    """
    tasks: dict[str, Task] = {}
    damage: list[str] = []
    for index in sorted((folder / ARCHIVE).glob("*.index.jsonl")):
        try:
            members = _members_with(index, task_ids, rows)
        except LedgerDamaged as error:
            damage.append(str(error))
            continue
        for entries in members.values():
            try:
                tasks |= _read_tasks(index, entries)
            except LedgerDamaged as error:
                damage.append(str(error))
    return Archived(tasks, tuple(damage))


def _members_with(
    index: Path, task_ids: Collection[str], rows: Collection[str]
) -> Mapping[tuple[int, int], Sequence[Entry]]:
    """Return the entries of these tasks and rows, by member; raises LedgerDamaged."""
    members: dict[tuple[int, int], list[Entry]] = {}
    try:
        for line in lines_of(index):
            entry = _entry(index, line)
            if entry.task_id in task_ids or entry.row_id in rows:
                members.setdefault((entry.member_at, entry.member_bytes), []).append(entry)
    except OSError as error:
        raise LedgerDamaged(f"{index.name} cannot be read: {error.strerror}") from error
    return members


def row(folder: Path, row_id: str) -> list[Task]:
    """Return the archived tasks of a row, of whatever workflow type, oldest first."""
    tasks: dict[str, Task] = {}
    for index in sorted((folder / ARCHIVE).glob("*.index.jsonl")):
        for entry in _entries_with(index, row_id):
            tasks[entry.task_id] = _read_task(index, entry)
    return oldest_first(tasks.values())


def every_task(folder: Path) -> Iterator[Task]:
    """Yield all archived tasks; one that was archived twice, twice."""
    for index in sorted((folder / ARCHIVE).glob("*.index.jsonl")):
        entries = map(decode_entry, lines_of(index))
        members = {(entry.member_at, entry.member_bytes) for entry in entries}
        for at, size in sorted(members):
            for line in _member(index, at, size).splitlines():
                yield decode_task(line)


def month_files(folder: Path) -> list[Path]:
    """Return the files of the archived tasks: of each month its content, then its index.

    Copied in this order while a writer is at work, an index never tells of more than is there.
    """
    return [*contents(folder), *sorted((folder / ARCHIVE).glob("*.index.jsonl"))]


def fingerprints(folder: Path) -> Iterator[str]:
    """Yield the fingerprints of all archived rows; what is read is let go line by line."""
    for index in (folder / ARCHIVE).glob("*.index.jsonl"):
        for lines in blocks_of(index):
            yield from fingerprints_in(lines, index.name)


def _read_task(index: Path, entry: Entry) -> Task:
    (task,) = _read_tasks(index, [entry]).values()
    return task


def _read_tasks(index: Path, entries: Sequence[Entry]) -> dict[str, Task]:
    """Return the tasks of some entries of one member, by id; raises LedgerDamaged."""
    at, size_bytes = entries[0].member_at, entries[0].member_bytes
    lines = _member(index, at, size_bytes).splitlines()
    try:
        return {entry.task_id: decode_task(lines[entry.line]) for entry in entries}
    except (IndexError, msgspec.MsgspecError) as error:  # whole, but not what the index tells of
        raise LedgerDamaged(_damaged(_content_of(index), at, size_bytes)) from error


def _content_of(index: Path) -> Path:
    return index.with_name(index.name.replace(".index.jsonl", ".jsonl.gz"))


def _member(index: Path, at: int, size_bytes: int) -> bytes:
    content = _content_of(index)
    try:
        with content.open("rb") as file:
            file.seek(at)
            return gzip.decompress(file.read(size_bytes))
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise LedgerDamaged(_damaged(content, at, size_bytes)) from error
    except OSError as error:
        raise LedgerDamaged(f"{content.name} cannot be read: {error.strerror}") from error


def _damaged(content: Path, at: int, size_bytes: int) -> str:
    return f"{content.name}: bytes {at}-{at + size_bytes - 1} are damaged"


def _entries_with(index: Path, text: str) -> Iterator[Entry]:
    """Yield the entries that hold *text* somewhere; the others are not decoded."""
    wanted = msgspec.json.encode(text)
    for lines in blocks_of(index):
        if wanted in lines:
            yield from (_entry(index, line) for line in lines.split(b"\n") if wanted in line)


def _entry(index: Path, line: bytes) -> Entry:
    try:
        return decode_entry(line)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise LedgerDamaged(f"{index.name}: one of its lines is damaged") from error
