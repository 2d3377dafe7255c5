"""Putting new content in the place of a file that others may save at the same moment.

Everything here blocks. Nothing that somebody saved is lost: where the system can exchange two
names in one step, what lay there at the very moment is looked at before it goes. Who saves and
reads again within that moment waits for its end and reads what he saved: else he would save his
next change over his last one, as a script that edits row by row did.
"""

import contextlib
import ctypes
import fcntl
import hashlib
import os
import re
import secrets
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import structlog

from daemon import failpoint
from daemon.durable import sync_folder
from ledger.leases import does_writer_wait, take_lease

log = structlog.get_logger()

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2
_DRAFT = re.compile(r"([0-9a-f]{16})-([0-9a-f]{16})\.tmp")


def replace_unless_changed(path: Path, expected: bytes, new: bytes) -> bool:
    """Make *new* the content of *path* if it still is *expected*; says whether it did.

    Mode and owner stay. A crash leaves the one or the other, and at most a draft beside it, which
    ``clear_drafts`` puts right. Raises OSError.
    """
    draft = path.with_name(f".{path.name}.{_short(expected)}-{_short(new)}.tmp")
    try:
        with _written(path, draft, new) as file:
            return _take_place(path, draft, expected, new, file.fileno())
    finally:
        draft.unlink(missing_ok=True)
        sync_folder(path.parent)


def _take_place(path: Path, draft: Path, expected: bytes, new: bytes, written: int) -> bool:
    """Exchange both names if *path* holds *expected*; *written*: the draft, open, with *new*."""
    failpoint.reach("tables.draft_written")
    if path.read_bytes() != expected:
        return False
    with contextlib.suppress(OSError):  # without one, who comes within the moment does not wait
        take_lease(written, fcntl.F_WRLCK)
    failpoint.reach("tables.exchanging")
    if not _exchange(path, draft):
        draft.replace(path)
        return True
    failpoint.reach("tables.exchanged")
    saved = draft.read_bytes()
    if saved == expected:
        return True
    theirs = draft.stat()
    if _take_back(path, draft, new, written):
        _let_in(path, draft, saved, theirs, written)
    return False


def _take_back(path: Path, draft: Path, new: bytes, written: int) -> bool:
    """Undo an exchange that took away what somebody had saved a moment before.

    Says whether that has its place again: if he saved once more meanwhile, the newest counts.
    """
    _exchange(path, draft)
    as_written = os.pread(written, len(new) + 1, 0) == new
    if as_written and os.path.samestat(draft.stat(), os.fstat(written)):
        return True
    _exchange(path, draft)
    return False


def _let_in(path: Path, draft: Path, saved: bytes, theirs: os.stat_result, written: int) -> None:
    """Have those who wait to open what stood there for a moment get what somebody *saved*.

    A reader reads it, and a writer writes where it has its place. A kill in between has a reader
    read a part of it; the file itself is whole at any time.
    """
    try:
        _overwrite(written, saved)
    except OSError:
        return  # a full disk: who waits is worse off than the file
    if does_writer_wait(written):
        os.fsync(written)
        _exchange(path, draft)
        if not os.path.samestat(draft.stat(), theirs):
            _exchange(path, draft)  # somebody saved once more meanwhile: the newest counts


def _overwrite(descriptor: int, content: bytes) -> None:
    at = 0
    while at < len(content):
        at += os.pwrite(descriptor, content[at:], at)
    os.ftruncate(descriptor, len(content))


def clear_drafts(path: Path) -> None:
    """Remove what a kill left beside *path*; somebody's version that was caught in it is kept."""
    for draft in path.parent.glob(f".{_escaped(path.name)}.*.tmp"):
        found = _DRAFT.fullmatch(draft.name.removeprefix(f".{path.name}."))
        if found is None or _short(draft.read_bytes()) in found.groups():
            draft.unlink(missing_ok=True)
            continue
        kept = path.with_name(f"{path.stem}.saved-{int(time.time())}{path.suffix}")
        draft.replace(kept)
        log.warning("table.version_kept", path=str(kept), of=str(path))


def _escaped(name: str) -> str:
    return re.sub(r"([\[\]*?])", r"[\1]", name)


@contextlib.contextmanager
def _written(path: Path, draft: Path, content: bytes) -> Iterator[BinaryIO]:
    """Write *content* with the mode and owner of *path*; ``draft`` is whole or not there."""
    partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part.tmp")
    before = path.stat()
    descriptor = os.open(partial, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w+b") as file:
        try:
            os.fchmod(descriptor, before.st_mode & 0o7777)
            if (before.st_uid, before.st_gid) != (os.geteuid(), os.getegid()):
                _try_to_give(descriptor, before)
            file.write(content)
            file.flush()
            os.fsync(descriptor)
            partial.replace(draft)
        finally:
            partial.unlink(missing_ok=True)
        yield file


def _try_to_give(descriptor: int, before: os.stat_result) -> None:
    try:
        os.fchown(descriptor, before.st_uid, before.st_gid)
    except PermissionError:
        log.debug("table.owner_not_kept")  # the group's rights must do; the content is what counts


def _exchange(one: Path, other: Path) -> bool:
    """Exchange two names in one step; False where the system or the file system cannot."""
    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if rename is None:
        return False
    names = (os.fsencode(one), os.fsencode(other))
    done: int = rename(_AT_FDCWD, names[0], _AT_FDCWD, names[1], _RENAME_EXCHANGE)
    return done == 0


def _short(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]
