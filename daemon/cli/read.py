"""`status`, `tasks` and `task`: they read the ledger beside a running daemon, without a lock."""

from datetime import UTC, datetime
from pathlib import Path

import click
import msgspec

from daemon.cli import views
from daemon.cli.batch_names import batch_meant
from daemon.cli.changes import as_documents
from daemon.cli.commands import help_words, json_option
from daemon.cli.invocation import Invocation, pass_invocation
from daemon.cli.stages import stages_named
from daemon.cli.summary import report
from daemon.cli.verb import Verb
from daemon.web.documents import TaskPage
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
    found = report(read_index(settings.ledger.path), settings, datetime.now(UTC))
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
) -> None:
    """List the tasks that match every option given."""
    state = read_state(invocation.settings.ledger.path)
    if batch is not None:
        batch = batch_meant(list(state.batches.values()), batch)
    found = [
        task
        for task in state.tasks.values()
        if (wanted is None or task.stage in wanted)
        and (workflow_type in (None, task.workflow_type))
        and (batch in (None, task.batch_id))
        and (not failed or task.stage is Stage.FAILED)
    ]
    found = found if limit is None else found[-limit:]
    if invocation.as_json:
        invocation.answer(TaskPage(found, None))
    elif found:
        invocation.show(views.tasks(found, invocation.words))
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
