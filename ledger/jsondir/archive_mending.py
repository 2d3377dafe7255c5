"""What an index of archived tasks lacks, found by its places and made again from the members.

An index that tells of its file without a gap costs one look at its lines; only what lies in a gap
is unpacked.
"""

import heapq
import zlib
from collections.abc import Container, Iterable, Iterator
from itertools import chain, groupby
from pathlib import Path

import msgspec

from ledger.jsondir.archive_index import (
    BLOCK_BYTES,
    Entry,
    contents,
    decode_entry,
    entries_of,
    index_of,
    lines_of,
)
from ledger.jsondir.files import Disk, corrupt_name
from ledger.shelf import decode_task
from ledger.task import Task

#: What zlib takes for "the largest window, and a gzip header".
_GZIP_WINDOW = 16 + zlib.MAX_WBITS
#: How a member begins: deflated, without a name or a time.
_BEGINNING = b"\x1f\x8b\x08" + bytes(5)


class _Told(msgspec.Struct, frozen=True):
    """What an index tells of its month's file."""

    spans: list[tuple[int, int]]  # from where to where it tells of every task; neighbours are one
    is_readable: bool  # every line


def mend_indexes(folder: Path, disk: Disk, at: str, known: Container[str]) -> list[str]:
    """Put into the indexes what they lack of the archived tasks; returns the names of those.

    One that was there is kept aside, with *at*, a timestamp, in its name. A member whose tasks are
    all *known*, since the state still has them, was left by a crash; the next writer cuts it off.
    Needs the lock. A crash leaves an index as it was, or whole.
    """
    mended = (each for each in contents(folder) if mend_index(each, disk, at, known))
    return [index_of(content).name for content in mended]


def mend_index(content: Path, disk: Disk, at: str = "", known: Container[str] = ()) -> bool:
    """Do so for one month's file; returns whether there was anything to do.

    Entries of a member that cannot be read any more stay: they tell which rows were accepted.
    """
    index, size_bytes = index_of(content), content.stat().st_size
    told = _told_by(index)
    unread = (
        member
        for member in _unread_members(content, size_bytes, told.spans)
        if not all(task.task_id in known for task in member[0])
    )
    first = next(unread, None)
    if first is None and told.is_readable:
        return False
    found = chain([first] if first else [], unread)
    new = ((start, False, entries_of(tasks, start, size)) for tasks, start, size in found)
    disk.write_whole("finished_index", index, _merged(_old_lines(index), new))
    aside = index.with_name(corrupt_name(index, at)) if index.exists() else None
    disk.take_place("finished_index", index, keep=aside)
    return True


def unindexed_tasks(content: Path) -> Iterator[Task]:
    """Yield the tasks of the members that the index does not wholly tell of; unpacks only these."""
    size_bytes = content.stat().st_size  # first: a writer adds to the index after the content
    spans = _told_by(index_of(content)).spans
    for tasks, _, _ in _unread_members(content, size_bytes, spans):
        yield from tasks


def _unread_members(
    content: Path, size_bytes: int, spans: Iterable[tuple[int, int]]
) -> Iterator[tuple[list[Task], int, int]]:
    """Yield the whole members of so much of the file that none of *spans* tells of.

    Each: its tasks, offset and length.
    """
    reached = 0
    for start, end in [*spans, (size_bytes, size_bytes)]:
        if reached < start:
            yield from _members(content, reached, min(start, size_bytes))
        reached = max(reached, end)


def _told_by(index: Path) -> _Told:
    unreadable = 0

    def readable() -> Iterator[Entry]:
        nonlocal unreadable
        for entry in _entries_of(index):
            if entry is None:
                unreadable += 1
            else:
                yield entry

    spans: list[tuple[int, int]] = []
    for (start, size_bytes), of_member in groupby(readable(), key=_member_of):
        if not _is_complete(of_member):
            continue
        if spans and spans[-1][1] == start:
            spans[-1] = (spans[-1][0], start + size_bytes)
        else:
            spans.append((start, start + size_bytes))
    return _Told(sorted(spans), is_readable=not unreadable)


def _member_of(entry: Entry) -> tuple[int, int]:
    return entry.member_at, entry.member_bytes


def _is_complete(of_member: Iterator[Entry]) -> bool:
    count, lines, in_order = 0, None, True
    for entry in of_member:
        in_order = in_order and entry.line == count
        count, lines = count + 1, entry.lines
    return in_order and lines in (None, count)


def _entries_of(index: Path) -> Iterator[Entry | None]:
    """Yield what each line tells, None for one that whoever looks for a task could not read."""
    for line in lines_of(index):
        try:
            yield decode_entry(line)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            yield None


def _old_lines(index: Path) -> Iterator[tuple[int, bool, bytes]]:
    """Yield the lines that can be read, by their member's offset."""
    for line, entry in zip(lines_of(index), _entries_of(index), strict=True):
        if entry is not None:
            yield entry.member_at, True, line + b"\n"


def _merged(
    old: Iterator[tuple[int, bool, bytes]], new: Iterator[tuple[int, bool, bytes]]
) -> Iterator[bytes]:
    """Yield all lines in the order of their members; a member that was read again replaces its."""
    read_again = -1
    for start, is_old, lines in heapq.merge(old, new):
        if not is_old:
            read_again = start
        if not is_old or start != read_again:
            yield lines


def _members(content: Path, start: int, end: int) -> Iterator[tuple[list[Task], int, int]]:
    """Yield the whole members from *start* to *end*; what is none is leapt over."""
    at: int | None = start
    while at is not None and at < end:
        member = _member_at(content, at)
        if member is None:
            at = _next_beginning(content, at + 1, end)
            continue
        yield member
        at += member[2]


def _member_at(content: Path, at: int) -> tuple[list[Task], int, int] | None:
    unpacker, unpacked = zlib.decompressobj(_GZIP_WINDOW), b""
    with content.open("rb") as file:
        file.seek(at)
        try:
            while not unpacker.eof and (block := file.read(BLOCK_BYTES)):
                unpacked += unpacker.decompress(block)
            tasks = [decode_task(line) for line in unpacked.splitlines()]
        except (zlib.error, msgspec.MsgspecError, UnicodeDecodeError):
            return None
        end = file.tell() - len(unpacker.unused_data)
    return (tasks, at, end - at) if unpacker.eof else None


def _next_beginning(content: Path, start: int, end: int) -> int | None:
    """Return where the next member begins, None when none does before *end*."""
    with content.open("rb") as file:
        while start < end:
            file.seek(start)
            block = file.read(BLOCK_BYTES)
            if (found := block.find(_BEGINNING)) >= 0:
                return start + found
            if len(block) < BLOCK_BYTES:
                return None
            start += len(block) - len(_BEGINNING) + 1
    return None
