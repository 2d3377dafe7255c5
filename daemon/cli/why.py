"""`why ID`: the story of a task in plain sentences, from the journal."""

from collections.abc import Iterator, Sequence

import click
import msgspec

from daemon.cli.asking import asked
from daemon.cli.commands import help_words, json_option
from daemon.cli.invocation import Invocation, pass_invocation
from daemon.cli.verb import Verb
from daemon.story.telling import Event, story_of
from daemon.web.warning import WarningDocument
from daemon.words import Words
from daemon.words.values import local_time, printable
from ledger.errors import UnknownRecord
from ledger.jsondir.reader import find_task, history
from ledger.status import OPEN_STAGES, Stage
from ledger.task import Task


class _Troubles(msgspec.Struct, frozen=True):
    """What of `status` matters here."""

    warnings: list[WarningDocument] = []


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
    story = story_of(task, history(path, task_id), invocation.words)
    if invocation.as_json:
        invocation.answer(story)
    else:
        invocation.show(_as_text(task, story.story, invocation.words))
        for message in _troubles(invocation, task):
            invocation.show(printable(message))


def _troubles(invocation: Invocation, task: Task) -> Iterator[str]:
    """Yield what keeps the daemon from going on with an open task; it may be the disk."""
    if task.stage not in OPEN_STAGES:
        return
    found = asked(invocation, "/api/status", _Troubles, lambda _: _Troubles())
    wanted = {"ledger", "outputs"} if task.stage is Stage.COLLECTING else {"ledger"}
    yield from (each.message for each in found.warnings if each.code in wanted)


def _as_text(task: Task, events: Sequence[Event], words: Words) -> str:
    """Return a headline, a paragraph for each event, and how the task stands now."""
    values = {
        "task": task.task_id,
        "row": task.row_number,
        "batch": task.batch_id,
        "type": task.workflow_type,
        "status": words(f"status.{task.status}"),
    }
    lines = [printable(words("story.headline", **values))]
    for event in events:
        lines.append(
            f"{local_time(event.at)}  {words('story.by', who=event.who)}{printable(event.text)}"
        )
        lines += [f"    {printable(sentence)}" for sentence in event.because]
    return "\n".join([*lines, *_now(task, words)])


def _now(task: Task, words: Words) -> list[str]:
    """Return what the task waits for, when that is not told by its last event."""
    lines: list[str] = []
    if task.requested is not None:
        lines.append(
            words("story.still_requested", requested=words.named("request", task.requested))
        )
    if task.retry_count:
        lines.append(words("story.see_retries", count=task.retry_count, task=task.task_id))
    return lines
