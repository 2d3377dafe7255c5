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
from ledger.errors import LedgerLocked
from ledger.task import Json
from ledger.timestamps import to_timestamp

#: Other commands hold the lock for an instant; a daemon opens its door once it has recovered.
PATIENCE_SECONDS = 10.0
_LOOK_AGAIN_SECONDS = 0.02
_STRANGE = re.compile(r"[^A-Za-z0-9._@-]")

if TYPE_CHECKING:
    from daemon.actions.plan import Plan
    from daemon.cli.door import Door
    from ledger.direct import DirectLedger

T = TypeVar("T")

#: Plans an action at the moment ``at``; raises ActionError or UnknownRecord.
Planner: TypeAlias = "Callable[[DirectLedger, str], Plan]"


class Request(msgspec.Struct, frozen=True):
    """The same action as the daemon's HTTP door knows it."""

    path: str
    body: Mapping[str, Json] = {}


def act(
    invocation: Invocation, plan: Planner, request: Callable[[], Request]
) -> Mapping[str, Json]:
    """Have the planned action done by whoever may write, and return its answer; see ``perform``."""

    def through(door: "Door") -> Mapping[str, Json]:
        wanted = request()
        return door.post(wanted.path, wanted.body)

    return perform(invocation, lambda: _under_the_lock(invocation, plan), through)


def perform(invocation: Invocation, directly: Callable[[], T], through: "Callable[[Door], T]") -> T:
    """Return what *directly* returns, or what *through* the door of the lock's holder returns.

    *directly* takes the lock, or raises LedgerLocked. Raises Refusal when the holder of the lock
    neither lets go nor opens a door, and what the two raise.
    """
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            return directly()
        except LedgerLocked as locked:
            if (door := door_of_holder(invocation)) is not None:
                return through(door)
            if time.monotonic() > deadline:
                values: dict[str, Json] = {"holder": locked.holder}
                raise worded("no_door", invocation.words, values, status=LOCKED) from None
        time.sleep(_LOOK_AGAIN_SECONDS)  # another process decides; there is nothing to wait on


def _under_the_lock(invocation: Invocation, plan: Planner) -> Mapping[str, Json]:
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


def door_of_holder(invocation: Invocation) -> "Door | None":
    """Return the door of the process that holds the ledger, None when there is none (yet)."""
    if not address_file(invocation.settings.state_dir).exists():
        return None
    from daemon.cli.door import through_daemon  # noqa: PLC0415 - HTTP is slow to import
    from ledger.jsondir.lock import read_holder  # noqa: PLC0415 - likewise

    settings = invocation.settings
    holder = read_holder(settings.ledger.path)
    if holder is None:
        return None
    return through_daemon(settings, holder.pid, actor(), invocation.words)


def actor() -> str:
    """Return who the journal names: ``cli:<user>``."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):  # a user id without a name, as in some containers
        name = str(os.getuid())
    return f"cli:{_STRANGE.sub('_', name)[:64]}"  # as the daemon takes it in a header
