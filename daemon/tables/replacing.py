"""Putting new content in the place of a file that others may save at the same moment.

Everything here blocks. Nothing that somebody saved is ever lost: where the system can exchange
two names in one step, what lay there at the very moment is looked at before it goes.
"""

import ctypes
import hashlib
import os
import re
import secrets
import time
from pathlib import Path

import structlog

from daemon import failpoint
from daemon.durable import sync_folder

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
    _write_draft(path, draft, new)
    failpoint.reach("tables.draft_written")
    try:
        if path.read_bytes() != expected:
            return False
        if not _exchange(path, draft):
            draft.replace(path)
            return True
        failpoint.reach("tables.exchanged")
        if draft.read_bytes() == expected:
            return True
        _give_back(path, draft, new)
        return False
    finally:
        draft.unlink(missing_ok=True)
        sync_folder(path.parent)


def _give_back(path: Path, draft: Path, new: bytes) -> None:
    """Undo an exchange that took away what somebody had saved a moment before."""
    _exchange(path, draft)
    if draft.read_bytes() != new:  # and saved once more meanwhile: the newest counts
        _exchange(path, draft)


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


def _write_draft(path: Path, draft: Path, content: bytes) -> None:
    """Write *content* with the mode and owner of *path*; ``draft`` is whole or not there."""
    partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part.tmp")
    before = path.stat()
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(file.fileno(), before.st_mode & 0o7777)
            if (before.st_uid, before.st_gid) != (os.geteuid(), os.getegid()):
                _try_to_give(file.fileno(), before)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(draft)
    finally:
        partial.unlink(missing_ok=True)


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
