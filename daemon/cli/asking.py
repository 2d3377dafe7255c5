"""Questions: the running daemon is asked, which has it all in memory; else the ledger is read.

Reading needs no lock, so a daemon that does not answer stands in nobody's way.
"""

from typing import TYPE_CHECKING, TypeVar

import click
import msgspec

from daemon.cli.acting import client_of_holder
from daemon.cli.invocation import Invocation
from daemon.cli.refusal import Refusal
from daemon.web.batch_documents import BatchesDocument

if TYPE_CHECKING:
    from collections.abc import Callable

    from daemon.cli.ledger_files import LedgerFiles

T = TypeVar("T")

#: A daemon answers in milliseconds; what the files say is not much older than its answer.
SILENCE_SECONDS = 5.0
#: The daemon itself cannot be asked; whatever else it refuses, the ledger would refuse too.
_NOBODY_THERE = frozenset({"door_closed", "door_silent", "door_token", "unknown_path"})


def asked(
    invocation: Invocation,
    path: str | None,
    kind: type[T],
    from_files: "Callable[[LedgerFiles], T]",
) -> T:
    """Return what the daemon answers at *path*, or what the ledger says when none can be asked.

    No daemon is asked for what has no path. Raises Refusal for what the daemon refuses, and what
    *from_files* raises.
    """
    found = _from_daemon(invocation, path, kind)
    return from_files(_files_of(invocation)) if found is None else found


def asked_as_json(
    invocation: Invocation,
    path: str | None,
    from_files: "Callable[[LedgerFiles], msgspec.Struct]",
) -> object:
    """Return the same for ``--json``: what the daemon answers is printed as it came."""
    found = _from_daemon(invocation, path, dict[str, msgspec.Raw])
    return from_files(_files_of(invocation)) if found is None else found


def batches_known(invocation: Invocation) -> BatchesDocument:
    """Return all batches."""
    path = "/api/batches"
    return asked(invocation, path, BatchesDocument, lambda files: files.batches())


def _files_of(invocation: Invocation) -> "LedgerFiles":
    from daemon.cli.ledger_files import LedgerFiles  # noqa: PLC0415 - slow to import, seldom wanted

    return LedgerFiles(invocation.settings, invocation.words)


def _from_daemon(invocation: Invocation, path: str | None, kind: type[T]) -> T | None:
    try:
        if path is None or (daemon := client_of_holder(invocation)) is None:
            return None
        return daemon.get(path, kind, wait_seconds=SILENCE_SECONDS)
    except Refusal as error:
        if error.code not in _NOBODY_THERE:
            raise
        if error.code == "door_silent":
            click.echo(invocation.words("trouble.daemon_silent"), err=True)
        return None
    except PermissionError:  # the door is another user's; whoever may read the files is told
        return None
