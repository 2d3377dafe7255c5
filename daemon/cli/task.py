"""`task ID`: one task in full, read from the ledger and its archive."""

from pathlib import Path

import click
import msgspec

from daemon.cli import task_view
from daemon.cli.changes import as_documents
from daemon.cli.commands import help_words, json_option
from daemon.cli.invocation import Invocation, pass_invocation
from daemon.cli.verb import Verb
from ledger.errors import UnknownRecord
from ledger.index import Index
from ledger.jsondir import archive
from ledger.jsondir.reader import history, read_index
from ledger.task import Task


@click.command(cls=Verb, help=help_words("help.task"))
@click.argument("task_id", metavar="ID")
@json_option
@pass_invocation
def task(invocation: Invocation, task_id: str) -> None:
    """Print one task in full, with its history and the other runs of its row."""
    path = invocation.settings.ledger.path
    index = read_index(path)
    one = index.find_task(task_id) or archive.find(path, task_id)
    if one is None:
        raise UnknownRecord("task", task_id)
    row = _row(path, index, one)
    family = [each for each in row if each.family == one.family]
    changes = history(path, task_id)
    if invocation.as_json:
        record = msgspec.to_builtins(one)
        record["history"] = as_documents(changes)
        gpu_seconds = sum(each.gpu_seconds or 0.0 for each in row if each.finished_at)
        record["row_gpu_seconds"] = round(gpu_seconds, 3)
        invocation.answer(record | {"family": [each.task_id for each in family]})
    else:
        invocation.show(task_view.task(one, family, changes, invocation.words))


def _row(path: Path, index: Index, one: Task) -> list[Task]:
    """Return all tasks of the row of *one*, its archived kin too, oldest first."""
    archived = archive.row(path, one.row_id)
    kept = map(index.task, index.row(one.row_id))
    return list({each.task_id: each for each in (*archived, *kept)}.values())
