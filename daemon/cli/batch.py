"""`batches` and `batch ID [pause|resume|stop|rerun|retry-failed]`."""

from collections.abc import Sequence
from urllib.parse import quote

import click
import msgspec

from daemon.cli import answers, views
from daemon.cli.asking import asked, asked_as_json, batches_known
from daemon.cli.batch_names import batch_meant
from daemon.cli.commands import help_words, json_option
from daemon.cli.frame import confirm, words_of
from daemon.cli.invocation import Invocation, pass_invocation
from daemon.cli.refusal import Refusal
from daemon.cli.verb import Verb
from daemon.web.batch_documents import BatchDocument
from ledger.task import Json, Task

VERBS = ("pause", "resume", "stop", "rerun", "retry-failed")


class Failed(msgspec.Struct, frozen=True):
    """What of a batch's failed executions matters here: the tasks, in the order of failing."""

    failed_executions: list[Task]


def _changes(ctx: click.Context, param: click.Parameter, given: Sequence[str]) -> dict[str, Json]:
    """Return ``column=value`` options as a mapping; the value stays text."""
    changes: dict[str, Json] = {}
    for each in given:
        column, equals, value = each.partition("=")
        if not equals or not column.strip():
            raise click.BadParameter(words_of(ctx)("batch.set_form", given=each), ctx, param)
        changes[column.strip()] = value
    return changes


@click.command(cls=Verb, help=help_words("help.batches"))
@json_option
@pass_invocation
def batches(invocation: Invocation) -> None:
    """List all batches with their counts."""
    if invocation.as_json:
        path = "/api/batches"
        invocation.answer(asked_as_json(invocation, path, lambda files: files.batches()))
        return
    found = batches_known(invocation)
    if not found.daemon_runs:
        invocation.say("trouble.no_daemon")
    if found.batches:
        invocation.show(views.batches(found.batches, invocation.words))
    else:
        invocation.say("batches.none", inbox=invocation.settings.inbox.path)


@click.command(cls=Verb, help=help_words("help.batch"))
@click.argument("given", metavar="ID")
@click.argument("verb", required=False, type=click.Choice(VERBS))
@click.option("--interrupt", is_flag=True, help=help_words("option.interrupt"))
@click.option("--stage", type=click.IntRange(1, 2), help=help_words("option.stage"))
@click.option(
    "--set",
    "changes",
    multiple=True,
    metavar="COLUMN=VALUE",
    callback=_changes,
    help=help_words("option.set"),
)
@click.option("--new-seed", is_flag=True, help=help_words("option.new_seed"))
@click.option("--yes", is_flag=True, help=help_words("option.yes"))
@json_option
@pass_invocation
def batch(
    invocation: Invocation,
    given: str,
    verb: str | None,
    *,
    interrupt: bool,
    stage: int | None,
    changes: dict[str, Json],
    new_seed: bool,
    yes: bool,
) -> None:
    """Show one batch, or do *verb* to it."""
    from daemon.cli import batch_verbs  # noqa: PLC0415 - `batches` must not pay for it

    options = batch_verbs.Options(
        interrupt=interrupt, stage=stage, changes=changes, new_seed=new_seed
    )
    if strange := options.strange_to(verb):
        names = ", ".join(strange)
        raise click.UsageError(invocation.words("batch.strange_option", names=names))
    if verb is None:
        _show(invocation, given)
        return
    if verb == "rerun" and not yes:
        _confirm_rerun(invocation, _report(invocation, given), stage)
    answers.tell(invocation, batch_verbs.do(invocation, given, verb, options))


def _show(invocation: Invocation, given: str) -> None:
    report = _report(invocation, given)
    if invocation.as_json:
        invocation.answer(report)
        return
    last = _last_failed(invocation, report.batch_id) if report.status == "failed" else None
    invocation.show(answers.batch(report, invocation.words, last_failed=last))


def _report(invocation: Invocation, given: str) -> BatchDocument:
    """Return the batch that *given* means; mostly it is an id, and no others need be known."""

    def named(batch: str) -> BatchDocument:
        return asked(invocation, _path(batch), BatchDocument, lambda files: files.batch(batch))

    try:
        return named(given)
    except Refusal as error:
        if error.code != "unknown_batch":
            raise
    return named(batch_meant(batches_known(invocation).batches, given))


def _last_failed(invocation: Invocation, batch_id: str) -> Task | None:
    path = f"{_path(batch_id)}/failed-executions"
    found = asked(invocation, path, Failed, lambda files: Failed(files.failed(batch_id)))
    return next(reversed(found.failed_executions), None)


def _path(batch_id: str) -> str:
    return f"/api/batches/{quote(batch_id, safe='')}"


def _confirm_rerun(invocation: Invocation, report: BatchDocument, stage: int | None) -> None:
    """Tell what stands there and ask; raises Abort for a no."""
    counts = report.statistics
    part = invocation.words("batch.part_all" if stage is None else f"batch.part_{stage}")
    question = invocation.words(
        "batch.confirm_rerun",
        batch=report.batch_id,
        status=invocation.words(f"batch.{report.status}"),
        part=part,
        rows=counts.rows,
        completed=counts.completed,
        failed=counts.failed,
        pending=counts.pending,
    )
    confirm(question, invocation.words)
