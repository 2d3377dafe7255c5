"""`submit FILE…`: the same as dropping the files into the inbox, with the verdict printed."""

from collections.abc import Sequence
from pathlib import Path

import click

from config.output_name import columns_in
from daemon.cli.commands import help_words, json_option
from daemon.cli.drop import CannotSubmit, plan_drops
from daemon.cli.drop_outcome import DUPLICATES_ENDING, REJECTED_ENDING, DropOutcome
from daemon.cli.invocation import Invocation, pass_invocation
from daemon.cli.submission import Submission
from daemon.cli.verb import Verb


@click.command(cls=Verb, help=help_words("help.submit"))
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="FILE…")
@click.option(
    "--timeout",
    "timeout_seconds",
    default=60.0,
    show_default=True,
    type=click.FloatRange(0),
    help=help_words("option.timeout"),
)
@json_option
@pass_invocation
def submit(invocation: Invocation, files: Sequence[Path], *, timeout_seconds: float) -> int:
    """Drop *files* and tell what became of them.

    1 when something was rejected, or cannot be taken in until a person does something; else 0.
    """
    settings = invocation.settings
    columns = {column for each in settings.workflows.values() for column in each.inputs}
    columns |= columns_in(settings.outputs.name)
    inbox, ledger, token = settings.inbox, settings.ledger, settings.web.admin_token_file
    own = (settings.state_dir, inbox.path, ledger.path, token)
    try:
        drops = plan_drops(files, columns, own, [token, *_settings_files(invocation)])
    except CannotSubmit as error:
        raise click.UsageError(invocation.words(error.word, **error.values)) from error
    outcomes: list[DropOutcome] = []
    for outcome in Submission(invocation, drops).outcomes(timeout_seconds):
        _tell(invocation, outcome, timeout_seconds)
        outcomes.append(outcome)
    if invocation.as_json:
        invocation.answer({"submitted": outcomes})
    return 1 if any(outcome.is_bad for outcome in outcomes) else 0


def _settings_files(invocation: Invocation) -> list[Path]:
    """Return the files that the settings, and secrets of them, were read from."""
    loaded = invocation.loaded
    origins = loaded.origins.values()
    secrets = [Path(origin.detail) for origin in origins if origin.kind == "secret file"]
    return secrets if loaded.file is None else [loaded.file, *secrets]


def _tell(invocation: Invocation, outcome: DropOutcome, timeout_seconds: float) -> None:
    name = outcome.name
    if outcome.postponed is not None:
        invocation.say("submit.postponed", name=name, reason=outcome.postponed)
    elif outcome.pending:
        invocation.say("submit.undecided", name=name, seconds=timeout_seconds)
    if outcome.batch_id is not None:
        invocation.say(
            "submit.accepted", name=name, batch=outcome.batch_id, rows=outcome.accepted_rows
        )
    if outcome.rejected_rows:
        path = outcome.report(REJECTED_ENDING)
        invocation.say("submit.rejected", name=name, rows=outcome.rejected_rows, path=path)
    if outcome.duplicate_rows:
        path = outcome.report(DUPLICATES_ENDING)
        invocation.say("submit.duplicates", name=name, rows=outcome.duplicate_rows, path=path)
    if outcome.unmoved:
        invocation.say("concern.unmoved", name=name)
    if outcome.unreadable is not None:
        invocation.say("submit.unreadable", name=name, reason=outcome.unreadable)
