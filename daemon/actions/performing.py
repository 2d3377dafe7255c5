"""Carrying out actions in the daemon, where the steps change the same records all the time."""

import asyncio
import contextlib
import itertools
from collections.abc import Callable

from daemon import failpoint
from daemon.actions.plan import Plan, Planning
from daemon.words import Words
from ledger.entry import Record
from ledger.errors import Conflict
from ledger.ledger import Ledger
from ledger.slices import SLICE, in_slices, in_turns, let_go
from ledger.task import Json

#: Plans that a step or another operator may overtake before the action is given up.
ATTEMPTS = 20
#: A change under way is on disk, and seen, long before.
PATIENCE_SECONDS = 1.0


async def perform(
    ledger: Ledger, plan: Callable[[], Plan | Planning], *, actor: str, words: Words | None = None
) -> dict[str, Json]:
    """Plan and commit, anew when somebody else was first, and return the answer.

    So of two equal actions at the same moment the second is answered from what the first left.
    Raises what *plan* raises (ActionError, UnknownRecord); Conflict when it is overtaken again and
    again; LedgerClosed.
    """
    try:
        return await carry_out(ledger, plan(), actor=actor, words=words)
    except Conflict:  # rare: only now it is worth to listen
        return await _perform_again(ledger, plan, actor, words)


async def _perform_again(
    ledger: Ledger, plan: Callable[[], Plan | Planning], actor: str, words: Words | None
) -> dict[str, Json]:
    changed = asyncio.Event()
    unsubscribe = ledger.subscribe(lambda _: changed.set())
    try:
        for attempt in itertools.count(2):
            changed.clear()
            try:
                return await carry_out(ledger, plan(), actor=actor, words=words)
            except Conflict:
                if attempt == ATTEMPTS:
                    raise
            with contextlib.suppress(TimeoutError):  # what overtook us may not be visible yet
                async with asyncio.timeout(PATIENCE_SECONDS):
                    await changed.wait()
    finally:
        unsubscribe()
    raise AssertionError  # itertools.count has no end


async def carry_out(
    ledger: Ledger, planned: Plan | Planning, *, actor: str, words: Words | None = None
) -> dict[str, Json]:
    """Commit a plan in the daemon and return its answer.

    While a long one is made, the loop goes on. Raises Conflict when the plan is outdated; see
    ``perform`` for one that plans anew then.
    """
    plan = planned if isinstance(planned, Plan) else await in_turns(planned)
    answer = plan.told(words or Words("en"))
    if plan.records:
        op, reason, evidence = plan.op, plan.reason, plan.evidence
        is_long = len(plan.records) > SLICE
        records = await _signed_in_slices(plan, actor) if is_long else [*plan.signed(actor)]
        del planned, plan  # else the records outlast those that we let go of
        failpoint.reach("action.before_commit")
        await ledger.commit(*records, op=op, actor=actor, reason=reason, evidence=evidence)
        failpoint.reach("action.after_commit")
        if is_long:
            await let_go(records)
    return answer


async def _signed_in_slices(plan: Plan, actor: str) -> list[Record]:
    records: list[Record] = []
    await in_slices(map(records.append, plan.signed(actor)))
    return records
