"""Where a task that ran out of graphics memory may run next. Pure.

Once more on the same server, whose memory is freed first; then on another one; failed when its
automatic retries are used up or every server was tried. ``metadata.ran_out_on`` remembers.
"""

from collections.abc import Collection

import msgspec

from ledger.task import Metadata, Task

#: Attempts on one server: as it was, and with its memory freed.
TRIES_PER_SERVER = 2


def ran_out(task: Task) -> Metadata:
    """Return the task's metadata after it ran out of memory where it is."""
    ran_out_on = (*task.metadata.ran_out_on, task.server or "")
    return msgspec.structs.replace(task.metadata, ran_out_on=ran_out_on)


def given_up_by(metadata: Metadata) -> frozenset[str]:
    """Return the servers whose memory is too small for the task."""
    tried = metadata.ran_out_on
    return frozenset(name for name in tried if tried.count(name) >= TRIES_PER_SERVER)


def too_large_for(metadata: Metadata, servers: Collection[str]) -> bool:
    """Say whether none of *servers* is left to try; with none known there may be others."""
    return bool(servers) and given_up_by(metadata) >= frozenset(servers)


def wanted_server(task: Task) -> str | None:
    """Return the server on which the task is tried once more, None when any will do."""
    tried = task.metadata.ran_out_on
    return tried[-1] if tried and tried[-1] not in given_up_by(task.metadata) else None


def must_be_freed(task: Task, server: str) -> bool:
    """Say whether *server* is to unload its models before it gets the task."""
    return server in task.metadata.ran_out_on
