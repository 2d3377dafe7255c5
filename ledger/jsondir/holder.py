"""Who holds the lock: the holder's own note of itself, for all who ask and take no lock.

The lock file itself says nothing: filelock empties it even when it fails to get the lock. So the
holder writes itself into ``ledger.holder.json``; one left by a dead process is not believed.
"""

import platform
from pathlib import Path

import msgspec

HOLDER = "ledger.holder.json"
#: States of a process that has ended and whose parent has not taken note (a container's first
#: process may never do so).
_ENDED = "ZXx"


class Holder(msgspec.Struct, frozen=True):
    """The process that holds the lock."""

    pid: int
    host: str
    since: str
    process_start: str  # tells a reused pid from the holder's
    folder: int = 0  # its inode: the note in a copy of the folder is about another one

    @property
    def is_here(self) -> bool:
        """Whether it runs on this machine, so that we see it live."""
        return self.host == platform.node()


def read_holder(folder: Path) -> Holder | None:
    """Return the living holder as far as its own note tells, None when there is none."""
    holder = _read(folder / HOLDER)
    if holder is None or not holder.is_here:
        return holder
    return holder if process_start(holder.pid) == holder.process_start else None


def process_start(pid: int) -> str:
    """Return when the process began, in the kernel's ticks; "" when it has ended or is unknown."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    fields = stat.rpartition(")")[2].split()
    return "" if fields[0] in _ENDED else fields[19]


def _read(path: Path) -> Holder | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Holder)
    except (FileNotFoundError, msgspec.MsgspecError):
        return None
