"""Files and names that survive a power loss, outside the ledger. Everything here blocks."""

import os
import secrets
from pathlib import Path


def sync_file(path: Path) -> None:
    """Make the bytes of *path* survive a power loss; raises OSError, for a link too."""
    _sync(path, os.O_RDONLY | os.O_NOFOLLOW)


def sync_folder(folder: Path) -> None:
    """Make the names in *folder* survive a power loss."""
    _sync(folder, os.O_RDONLY | os.O_DIRECTORY)


def make_folder(path: Path) -> None:
    """Make the folder and those above it; on return they survive a power loss."""
    if not path.is_dir():
        make_folder(path.parent)
        path.mkdir(exist_ok=True)
        sync_folder(path.parent)


def write_private(path: Path, content: bytes) -> None:
    """Write *content* to *path*, readable by the owner only; a crash leaves all of it or nothing.

    On return its bytes are on disk; the name may still be lost with the power.
    """
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def _sync(path: Path, flags: int) -> None:
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
