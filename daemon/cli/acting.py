"""Verbs: done under the lock by the command itself, or through the daemon that holds it."""

import getpass
import os
import re
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeAlias, TypeVar

import msgspec

from daemon.cli.invocation import Invocation
from daemon.cli.refusal import LOCKED, worded
from daemon.web.address import address_file
from daemon.words.retelling import LEDGER, in_language
from ledger.errors import LedgerLocked
from ledger.jsondir.holder import read_holder
from ledger.task import Json
from ledger.timestamps import to_timestamp

#: Other commands hold the lock for an instant; a daemon opens its door once it has recovered.
PATIENCE_SECONDS = 10.0
_LOOK_AGAIN_SECONDS = 0.02
_STRANGE = re.compile(r"[^A-Za-z0-9._@-]")

if TYPE_CHECKING:
    from daemon.actions.plan import Plan
    from daemon.cli.daemon_client import DaemonClient
    from ledger.direct import DirectLedger

T = TypeVar("T")

#: Plans an action at the moment ``at``; raises ActionError or UnknownRecord.
Planner: TypeAlias = "Callable[[DirectLedger, str], Plan]"


class Request(msgspec.Struct, frozen=True):
    """The same action as the daemon's HTTP door knows it."""

    path: str
    body: Mapping[str, Json] = {}

    def send_to(self, daemon: "DaemonClient") -> Mapping[str, Json]:
        """Have it done and return the answer; raises Refusal."""
        return daemon.post(self.path, self.body, dict[str, Json])


def act(invocation: Invocation, plan: Planner, request: Request) -> Mapping[str, Json]:
    """Have the planned action done by whoever may write, and return its answer; see ``perform``."""
    return perform(invocation, lambda: under_the_lock(invocation, plan), request.send_to)


def perform(
    invocation: Invocation, directly: Callable[[], T], through: "Callable[[DaemonClient], T]"
) -> T:
    """Return what *through* gets from the daemon that holds the lock, or what *directly* returns.

    *directly* takes the lock, or raises LedgerLocked. Raises Refusal when the holder of the lock
    neither lets go nor opens a door, and what the two raise.
    """
    if (daemon := client_of_holder(invocation, seen_alive=True)) is not None:
        return through(daemon)  # which spares us all that is needed to write
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            return directly()
        except LedgerLocked as locked:
            if (daemon := client_of_holder(invocation)) is not None:
                return through(daemon)
            if time.monotonic() > deadline:
                words = invocation.words
                values: dict[str, Json] = {
                    "holder": in_language(locked.holder, words.language, LEDGER)
                }
                raise worded("no_door", words, values, status=LOCKED) from None
        time.sleep(_LOOK_AGAIN_SECONDS)  # another process decides; there is nothing to wait on


def under_the_lock(invocation: Invocation, plan: Planner) -> Mapping[str, Json]:
    """Commit the plan and return its answer; raises LedgerLocked, and what *plan* raises."""
    from ledger.direct import DirectLedger  # noqa: PLC0415 - reading needs no lock

    with DirectLedger(invocation.settings.ledger.path) as ledger:
        planned = plan(ledger, to_timestamp(datetime.now(UTC)))
        if planned.records:
            ledger.commit(
                *planned.signed(actor()),
                op=planned.op,
                actor=actor(),
                reason=planned.reason,
                evidence=planned.evidence,
            )
        return planned.told(invocation.words)


def client_of_holder(invocation: Invocation, *, seen_alive: bool = False) -> "DaemonClient | None":
    """Return a client of the daemon that holds the ledger, None when it answers nobody (yet).

    *seen_alive*: only of one that runs on this machine. A note that was written under another
    name of it, as in an earlier container, may be of a daemon that is gone.
    """
    settings = invocation.settings
    if not address_file(settings.state_dir).exists():
        return None
    from daemon.cli.daemon_client import client_of  # noqa: PLC0415 - mostly no daemon runs

    holder = read_holder(settings.ledger.path)
    if holder is None or (seen_alive and not holder.is_here):
        return None
    return client_of(settings, holder.pid, actor(), invocation.words)


def actor() -> str:
    """Return who the journal names: ``cli:<user>``."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):  # a user id without a name, as in some containers
        name = str(os.getuid())
    return f"cli:{_STRANGE.sub('_', name)[:64]}"  # as the daemon takes it in a header
