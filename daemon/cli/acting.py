"""Verbs: done under the lock by the command itself, or through the daemon that holds it."""

import getpass
import os
import re
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import TypeAlias, TypeVar

import click
import msgspec

from daemon.actions.plan import ActionError, Plan
from daemon.cli.door import Door, through_daemon
from daemon.cli.invocation import Invocation
from daemon.cli.refusal import Refusal
from daemon.words import Words
from ledger.direct import DirectLedger
from ledger.errors import Conflict, LedgerLocked, UnknownRecord
from ledger.jsondir.lock import read_holder
from ledger.task import Json
from ledger.timestamps import to_timestamp

#: Other commands hold the lock for an instant; a daemon opens its door once it has recovered.
PATIENCE_SECONDS = 10.0
_LOOK_AGAIN_SECONDS = 0.02
_STRANGE = re.compile(r"[^A-Za-z0-9._@-]")

T = TypeVar("T")

#: Plans an action at the moment ``at``; raises ActionError or UnknownRecord.
Planner: TypeAlias = Callable[[DirectLedger, str], Plan]


class Request(msgspec.Struct, frozen=True):
    """The same action as the daemon's HTTP door knows it."""

    path: str
    body: Mapping[str, Json] = {}


class Verb(click.Command):
    """A command whose refusals have code, message and hint, in JSON too."""

    def invoke(self, ctx: click.Context) -> object:
        """Run the command; raises Refusal for everything that an action refuses."""
        invocation = ctx.find_object(Invocation)
        assert invocation is not None  # noqa: S101 - the root made it
        try:
            return super().invoke(ctx)
        except (Refusal, ActionError, UnknownRecord, Conflict) as error:
            refusal = _refusal(error, invocation.words)
            if invocation.as_json:
                invocation.answer(refusal.document())
            raise refusal from error


def _refusal(error: Exception, words: Words) -> Refusal:
    match error:
        case ActionError(code=code, status=status, values=values):
            return Refusal.worded(code, words, values, status=status)
        case UnknownRecord(kind=kind, record_id=record_id):
            return Refusal.worded(f"unknown_{kind}", words, {"id": record_id}, status=404)
        case Refusal():
            return error
        case _:
            return Refusal.worded("conflict", words, {"reason": str(error)})


def act(
    invocation: Invocation, plan: Planner, request: Callable[[], Request]
) -> Mapping[str, Json]:
    """Have the planned action done by whoever may write, and return its answer; see ``perform``."""

    def through(door: Door) -> Mapping[str, Json]:
        wanted = request()
        return door.post(wanted.path, wanted.body)

    return perform(invocation, lambda: _under_the_lock(invocation, plan), through)


def perform(invocation: Invocation, directly: Callable[[], T], through: Callable[[Door], T]) -> T:
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
                raise Refusal.worded("no_door", invocation.words, values) from None
        time.sleep(_LOOK_AGAIN_SECONDS)  # another process decides; there is nothing to wait on


def _under_the_lock(invocation: Invocation, plan: Planner) -> Mapping[str, Json]:
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


def door_of_holder(invocation: Invocation) -> Door | None:
    """Return the door of the process that holds the ledger, None when there is none (yet)."""
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
