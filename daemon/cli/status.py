"""`status`: a running daemon knows how all stands, else the ledger is read."""

import click

from daemon.cli import views
from daemon.cli.asking import asked, asked_as_json
from daemon.cli.commands import help_words, json_option
from daemon.cli.invocation import Invocation, pass_invocation
from daemon.cli.verb import Verb
from daemon.web.status_documents import Report


@click.command(cls=Verb, help=help_words("help.status"))
@json_option
@pass_invocation
def status(invocation: Invocation) -> None:
    """Print servers, batches with counts and what is on the servers now."""
    path, settings = "/api/status", invocation.settings
    if invocation.as_json:
        invocation.answer(asked_as_json(invocation, path, lambda files: files.status()))
    else:
        found = asked(invocation, path, Report, lambda files: files.status())
        invocation.show(views.status(found, settings, invocation.words))
