"""Commands whose refusals are told in words: the same code, message and hint as by HTTP."""

import click

from daemon.actions.plan import ActionError
from daemon.cli.invocation import Invocation
from daemon.cli.refusal import Refusal
from daemon.words import Words
from ledger.errors import Conflict, LedgerClosed, LedgerDamaged, UnknownRecord

_OF_THE_LEDGER: dict[type[Exception], str] = {
    UnknownRecord: "unknown",
    Conflict: "conflict",
    LedgerClosed: "ledger_closed",
    LedgerDamaged: "ledger_damaged",
}


class Verb(click.Command):
    """A command whose refusals have code, message and hint, in JSON too."""

    def invoke(self, ctx: click.Context) -> object:
        """Run the command; raises Refusal for everything that an action refuses."""
        invocation = ctx.find_object(Invocation)
        assert invocation is not None  # noqa: S101 - the root made it
        try:
            return super().invoke(ctx)
        except (Refusal, ActionError, *_OF_THE_LEDGER) as error:
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
            code = _OF_THE_LEDGER[type(error)]
            return Refusal.worded(code, words, {"reason": str(error)})
