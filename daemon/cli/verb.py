"""Commands whose refusals are told in words: the same code, message and hint as by HTTP."""

import click

from daemon.actions.errors import ActionError
from daemon.cli.invocation import Invocation
from daemon.cli.refusal import LOCKED, Refusal, worded
from daemon.web.refusal import Refusal as RefusedByHttp
from daemon.words import Words
from daemon.words.retelling import LEDGER, in_each_language
from ledger.errors import (
    LedgerClosed,
    LedgerDamaged,
    LedgerError,
    LedgerGone,
    LedgerLocked,
    LedgerTooNew,
    UnknownRecord,
)


class Verb(click.Command):
    """A command whose refusals have code, message and hint, in JSON too."""

    def invoke(self, ctx: click.Context) -> object:
        """Run the command; raises Refusal for everything that an action refuses."""
        invocation = ctx.find_object(Invocation)
        assert invocation is not None  # noqa: S101 - the root made it
        try:
            return super().invoke(ctx)
        except (Refusal, RefusedByHttp, ActionError, LedgerError) as error:
            refused = refusal_of(error, invocation.words)
            if invocation.as_json:
                invocation.answer(refused.document())
            raise refused from error


def refusal_of(error: Exception, words: Words) -> Refusal:
    """Return what a person is told of *error*, whose kind decides the exit code."""
    match error:
        case Refusal():
            return error
        case (
            ActionError(code=code, status=status, values=values)
            | RefusedByHttp(code=code, status=status, values=values)
        ):
            return worded(code, words, values, status=status)
        case UnknownRecord(kind=kind, record_id=record_id):
            return worded(f"unknown_{kind}", words, {"id": record_id}, status=404)
        case LedgerDamaged():
            return worded("ledger_damaged", words, {"reason": told(error)}, status=503)
        case LedgerLocked(holder=holder):
            named = in_each_language(holder, LEDGER)
            return worded("ledger_in_use", words, {"holder": named}, status=LOCKED)
        case LedgerGone(folder=folder):
            return worded("ledger_gone", words, {"folder": folder}, status=503)
        case LedgerTooNew(found=found, known=known):
            formats = {"found": found, "known": known}
            return worded("ledger_too_new", words, formats, status=503)
        case LedgerClosed():
            return worded("ledger_closed", words, {"reason": told(error)}, status=503)
        case _:
            return worded("conflict", words, {"reason": told(error)})


def told(error: Exception) -> dict[str, str]:
    """Return what an error of the ledger says, in each language."""
    return in_each_language(str(error), LEDGER)
