"""`why ID`: the story of a task in plain sentences, from the journal."""

import click

from daemon.cli import story
from daemon.cli.commands import help_words, json_option
from daemon.cli.invocation import Invocation, pass_invocation
from daemon.cli.verb import Verb
from ledger.errors import UnknownRecord
from ledger.jsondir.reader import find_task, history


@click.command(cls=Verb, help=help_words("help.why"))
@click.argument("task_id", metavar="ID")
@json_option
@pass_invocation
def why(invocation: Invocation, task_id: str) -> None:
    """Print what happened to a task: when, who or what did it, and from what evidence."""
    path = invocation.settings.ledger.path
    task = find_task(path, task_id)
    if task is None:
        raise UnknownRecord("task", task_id)
    events = story.tell(history(path, task_id), invocation.words)
    if invocation.as_json:
        where = {"task_id": task_id, "status": task.status, "stage": task.stage}
        invocation.answer(where | {"story": events})
    else:
        invocation.show(story.as_text(task, events, invocation.words))
