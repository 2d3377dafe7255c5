"""`status`, `tasks` and `task`: a running daemon knows the answer, else the ledger is read."""

from datetime import UTC, datetime
from pathlib import Path

import click
import msgspec

from daemon.cli import views
from daemon.cli.asking import asked, batches_named, task_page
from daemon.cli.batch_names import batch_meant
from daemon.cli.changes import as_documents
from daemon.cli.commands import help_words, json_option
from daemon.cli.concerns import concerns_on_disk, full_disk_concerns, starting_concerns
from daemon.cli.invocation import Invocation, pass_invocation
from daemon.cli.stages import stages_named
from daemon.cli.verb import Verb
from daemon.web.paging import Wanted
from daemon.web.summary import Report, batch_reports, report
from ledger.errors import UnknownRecord
from ledger.jsondir import archive
from ledger.jsondir.reader import find_task, history, read_index, read_state
from ledger.status import Stage
from ledger.task import Task


@click.command(help=help_words("help.status"))
@json_option
@pass_invocation
def status(invocation: Invocation) -> None:
    """Print servers, batches with counts and what is on the servers now."""
    settings = invocation.settings

    def from_disk() -> Report:
        index = read_index(settings.ledger.path, thorough=True)
        batches, now = [*batch_reports(index)], datetime.now(UTC)
        lying = concerns_on_disk(settings, index.meta("drops"), now)
        concerns = [*starting_concerns(settings), *full_disk_concerns(settings), *lying]
        return report(index, batches, settings, now, invocation.words, concerns=concerns)

    found = asked(invocation, "/api/status", Report, from_disk)
    if invocation.as_json:
        invocation.answer(found)
    else:
        invocation.show(views.status(found, settings, invocation.words))


@click.command(cls=Verb, help=help_words("help.tasks"))
@click.option("--status", "wanted", callback=stages_named, help=help_words("option.status"))
@click.option("--type", "workflow_type", help=help_words("option.type"))
@click.option("--batch", help=help_words("option.batch"))
@click.option("--failed", is_flag=True, help=help_words("option.failed"))
@click.option("--limit", type=click.IntRange(1), help=help_words("option.limit"))
@click.option("--cursor", help=help_words("option.cursor"))
@json_option
@pass_invocation
def tasks(
    invocation: Invocation,
    *,
    wanted: frozenset[Stage] | None,
    workflow_type: str | None,
    batch: str | None,
    failed: bool,
    limit: int | None,
    cursor: str | None,
) -> None:
    """List the tasks that match every option given, a page at a time."""
    stages = frozenset(Stage) if wanted is None else wanted
    if failed:
        stages &= {Stage.FAILED}
    if batch is not None:
        batch = batch_meant(batches_named(invocation), batch)
    fitting = Wanted(stages=stages, workflow_type=workflow_type, batch_id=batch)
    page = task_page(invocation, fitting, newest=limit, cursor=cursor)
    if invocation.as_json:
        invocation.answer(page)
    elif page.tasks:
        invocation.show(views.tasks(page.tasks, invocation.words))
        if page.next_cursor is not None:
            invocation.say("tasks.more", cursor=page.next_cursor)
    else:
        invocation.say("tasks.none")


@click.command(cls=Verb, help=help_words("help.task"))
@click.argument("task_id", metavar="ID")
@json_option
@pass_invocation
def task(invocation: Invocation, task_id: str) -> None:
    """Print one task in full, with its history and the other runs of its row."""
    path = invocation.settings.ledger.path
    one = find_task(path, task_id)
    if one is None:
        raise UnknownRecord("task", task_id)
    row = _row(path, one)
    family = [each for each in row if each.family == one.family]
    changes = history(path, task_id)
    if invocation.as_json:
        record = msgspec.to_builtins(one)
        record["history"] = as_documents(changes)
        gpu_seconds = sum(each.gpu_seconds or 0.0 for each in row if each.finished_at)
        record["row_gpu_seconds"] = round(gpu_seconds, 3)
        invocation.answer(record | {"family": [each.task_id for each in family]})
    else:
        invocation.show(views.task(one, family, changes, invocation.words))


def _row(path: Path, one: Task) -> list[Task]:
    """Return all tasks of the row of *one*, its archived kin too, oldest first."""
    archived = archive.family(path, one.row_id, one.workflow_type)
    kept = (each for each in read_state(path).tasks.values() if each.row_id == one.row_id)
    return list({each.task_id: each for each in (*archived, *kept)}.values())
