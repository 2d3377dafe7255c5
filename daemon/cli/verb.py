"""Commands whose refusals are told in words: the same code, message and hint as by HTTP."""

import click

from daemon.actions.plan import ActionError
from daemon.cli.invocation import Invocation
from daemon.cli.refusal import Refusal, worded
from daemon.words import Words
from ledger.errors import Conflict, LedgerClosed, LedgerDamaged, UnknownRecord


class Verb(click.Command):
    """A command whose refusals have code, message and hint, in JSON too."""

    def invoke(self, ctx: click.Context) -> object:
        """Run the command; raises Refusal for everything that an action refuses."""
        invocation = ctx.find_object(Invocation)
        assert invocation is not None  # noqa: S101 - the root made it
        try:
            return super().invoke(ctx)
        except (
            Refusal,
            ActionError,
            UnknownRecord,
            Conflict,
            LedgerClosed,
            LedgerDamaged,
        ) as error:
            refused = _refused(error, invocation.words)
            if invocation.as_json:
                invocation.answer(refused.document())
            raise refused from error


def _refused(error: Exception, words: Words) -> Refusal:
    match error:
        case Refusal():
            return error
        case ActionError(code=code, status=status, values=values):
            return worded(code, words, values, status=status)
        case UnknownRecord(kind=kind, record_id=record_id):
            return worded(f"unknown_{kind}", words, {"id": record_id}, status=404)
        case LedgerDamaged():
            return worded("ledger_damaged", words, {"reason": str(error)}, status=503)
        case LedgerClosed():
            return worded("ledger_closed", words, {"reason": str(error)}, status=503)
        case _:
            return worded("conflict", words, {"reason": str(error)})
