"""An action on its way: planned from what the ledger holds, committed, answered."""

from collections.abc import Callable
from typing import TypeVar

import msgspec

from daemon.actions import performing
from daemon.actions.plan import Plan, Planning
from daemon.web.endpoint import Call
from daemon.web.idempotency import fingerprint, key_in
from ledger.task import Json
from ledger.timestamps import to_timestamp

Q = TypeVar("Q", bound=msgspec.Struct)
B = TypeVar("B", bound=msgspec.Struct)


def now(call: Call[Q, B]) -> str:
    """Return the present moment as the ledger writes it."""
    return to_timestamp(call.desk.clock.now())


async def perform(call: Call[Q, B], decide: Callable[[], Plan | Planning]) -> dict[str, Json]:
    """Carry out what *decide* plans and return its answer.

    A request whose Idempotency-Key was seen before gets the answer of then. Raises ActionError,
    UnknownRecord, Conflict, LedgerClosed, Refusal; nothing was changed then.
    """
    words = call.words
    key = key_in(call.request.headers)
    if key is None:
        return await performing.perform(call.desk.ledger, decide, actor=call.actor, words=words)
    answers = call.room.answers
    asked = fingerprint(call.request.method, call.request.path, call.query, call.body)

    def kept(planned: Plan) -> Plan:
        """Return the plan that also remembers its answer."""
        if not planned.records:
            return planned
        remembered = answers.records(key, asked, planned.told(words))
        return msgspec.structs.replace(planned, records=(*planned.records, *remembered))

    def plan() -> Plan | Planning:
        decided = decide()
        return kept(decided) if isinstance(decided, Plan) else _then(decided, kept)

    async with answers.one_at_a_time(key):
        if (given := answers.find(key, asked)) is not None:
            return given
        return await performing.perform(call.desk.ledger, plan, actor=call.actor, words=words)


def _then(planning: Planning, finish: Callable[[Plan], Plan]) -> Planning:
    return finish((yield from planning))
