"""`servers` and `server NAME [drain|resume]`."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING
from urllib.parse import quote

import click
import msgspec

from daemon.actions.errors import ActionError
from daemon.cli import answers
from daemon.cli.acting import Request, act
from daemon.cli.asking import asked
from daemon.cli.commands import help_words, json_option
from daemon.cli.invocation import Invocation, pass_invocation
from daemon.cli.render import table
from daemon.cli.verb import Verb
from daemon.cli.views import server_state
from daemon.web.documents import ServerDocument, ServersDocument
from daemon.words import Words
from daemon.words.retelling import in_language
from ledger.task import Json

if TYPE_CHECKING:
    from daemon.actions.plan import Plan
    from ledger.direct import DirectLedger

VERBS = ("drain", "resume")


@click.command(cls=Verb, help=help_words("help.servers"))
@json_option
@pass_invocation
def servers(invocation: Invocation) -> None:
    """List the servers as a running daemon sees them, else as the last one left them."""
    _show(invocation, _known(invocation))


@click.command(cls=Verb, help=help_words("help.server"))
@click.argument("name")
@click.argument("verb", required=False, type=click.Choice(VERBS))
@json_option
@pass_invocation
def server(invocation: Invocation, name: str, verb: str | None) -> None:
    """Show one server, or do *verb* to it."""
    if verb is None:
        known = _known(invocation)
        found = [each for each in known.servers if each.name == name]
        if not found:
            raise ActionError("unknown_server", 404, id=name)
        _show(invocation, msgspec.structs.replace(known, servers=found))
        return
    answers.tell(invocation, _do(invocation, name, verb))


def _do(invocation: Invocation, name: str, verb: str) -> Mapping[str, Json]:
    def plan(ledger: "DirectLedger", at: str) -> "Plan":
        from daemon.cli import plans  # noqa: PLC0415 - mostly a daemon does it

        return plans.server(ledger, name, verb, invocation.settings, at=at)

    return act(invocation, plan, Request(f"/api/servers/{quote(name, safe='')}/{verb}"))


def _show(invocation: Invocation, found: ServersDocument) -> None:
    if invocation.as_json:
        invocation.answer(found)
        return
    if not found.daemon_runs:
        invocation.say("trouble.no_daemon")
    invocation.show(_as_text(found.servers, invocation.words))


def _known(invocation: Invocation) -> ServersDocument:
    return asked(invocation, "/api/servers", ServersDocument, lambda files: files.servers())


def _as_text(found: Sequence[ServerDocument], words: Words) -> str:
    """Return a line for each server: how it is, what it has, what it waits for."""
    heads = ("name", "address", "state", "version", "in_flight", "queue", "last_type", "remark")
    rows = [
        [
            one.name,
            one.url,
            server_state(one, words),
            one.version,
            f"{one.in_flight}/{one.max_in_flight}",
            None if one.queue_running is None else f"{one.queue_running}+{one.queue_pending}",
            one.last_type,
            in_language(one.why_not or "", words.language),
        ]
        for one in found
    ]
    return table([words(f"column.{head}") for head in heads], rows)
