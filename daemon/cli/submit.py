"""`submit FILE…`: the same as dropping the files into the inbox, with the verdict printed."""

import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import click
import msgspec

from config.output_name import columns_in
from daemon.cli.commands import help_words, json_option
from daemon.cli.drop import CannotSubmit, Drop, place, plan_drops
from daemon.cli.drop_outcome import DUPLICATES_ENDING, REJECTED_ENDING, DropOutcome, OutcomeWatch
from daemon.cli.invocation import Invocation, pass_invocation
from daemon.cli.verb import Verb
from daemon.words.retelling import REPORTS, in_language
from ledger.jsondir.holder import read_holder
from ledger.jsondir.reader import read_state

_LOOK_EVERY_SECONDS = 0.1
_LEDGER_EVERY_SECONDS = 1.5  # reading it takes a while


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
    """Drop *files* and tell what became of them: 1 when something was rejected, else 0."""
    settings = invocation.settings
    columns = {column for each in settings.workflows.values() for column in each.inputs}
    columns |= columns_in(settings.outputs.name)
    inbox, ledger, token = settings.inbox, settings.ledger, settings.web.admin_token_file
    own = (settings.state_dir, inbox.path, ledger.path, token)
    try:
        drops = plan_drops(files, columns, own, [token, *_settings_files(invocation)])
    except CannotSubmit as error:
        raise click.UsageError(invocation.words(error.word, **error.values)) from error
    outcomes = list(_submit(invocation, drops, timeout_seconds))
    if invocation.as_json:
        invocation.answer({"submitted": outcomes})
    return 1 if any(outcome.is_bad for outcome in outcomes) else 0


def _settings_files(invocation: Invocation) -> list[Path]:
    """Return the files that the settings, and secrets of them, were read from."""
    loaded = invocation.loaded
    origins = loaded.origins.values()
    secrets = [Path(origin.detail) for origin in origins if origin.kind == "secret file"]
    return secrets if loaded.file is None else [loaded.file, *secrets]


def _submit(
    invocation: Invocation, drops: Sequence[Drop], timeout_seconds: float
) -> Iterator[DropOutcome]:
    settings = invocation.settings
    known_batches = frozenset(read_state(settings.ledger.path).batches)
    watch = OutcomeWatch(settings.inbox.path, known_batches)
    names = [place(drop, settings.inbox.path) for drop in drops]
    if read_holder(settings.ledger.path) is None:
        for name in names:
            invocation.say("submit.later", name=name)
            yield DropOutcome(name=name, pending=True)
        return
    unmoved = _wait_for_outcomes(watch, names, settings.ledger.path, timeout_seconds)
    for name, drop in zip(names, drops, strict=True):
        if watch.is_pending(name) and name not in unmoved:
            invocation.say("submit.undecided", name=name, seconds=timeout_seconds)
            yield DropOutcome(name=name, pending=True)
            continue
        outcome = watch.outcome(name, drop.lines, read_state(settings.ledger.path))
        why = outcome.unreadable  # in the language of reports
        outcome = msgspec.structs.replace(
            outcome,
            unmoved=watch.is_pending(name),
            unreadable=why and in_language(why, invocation.words.language, REPORTS),
        )
        _tell(invocation, outcome)
        yield outcome


def _wait_for_outcomes(
    watch: OutcomeWatch, names: Sequence[str], ledger: Path, timeout_seconds: float
) -> set[str]:
    """Wait until every drop is decided, or time is over; return those decided but not moved.

    Another process decides: there is nothing to wait on. A drop is moved right after its outcome,
    so one that lies there decided at two looks in a row may not be moved.
    """
    deadline = time.monotonic() + timeout_seconds
    ledger_due = time.monotonic() + _LEDGER_EVERY_SECONDS
    decided, unmoved = set[str](), set[str]()
    while any(watch.is_pending(name) and name not in unmoved for name in names):
        if (now := time.monotonic()) >= deadline:
            break
        if now >= ledger_due:
            state, ledger_due = read_state(ledger), now + _LEDGER_EVERY_SECONDS
            lying = {name for name in names if watch.is_unmoved(name, state)}
            unmoved, decided = lying & decided, lying
        time.sleep(_LOOK_EVERY_SECONDS)
    return unmoved


def _tell(invocation: Invocation, outcome: DropOutcome) -> None:
    name = outcome.name
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
