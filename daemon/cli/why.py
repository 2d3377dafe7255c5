"""`why ID`: the story of a task in plain sentences, from the journal."""

from collections.abc import Iterator
from urllib.parse import quote

import click
import msgspec

from daemon.cli.asking import asked, asked_as_json
from daemon.cli.commands import help_words, json_option
from daemon.cli.invocation import Invocation, pass_invocation
from daemon.cli.verb import Verb
from daemon.story.documents import Story
from daemon.web.warning import WarningDocument
from daemon.words import Words
from daemon.words.values import local_time, printable
from ledger.status import OPEN_STAGES, Stage


class _Troubles(msgspec.Struct, frozen=True):
    """What of `status` matters here."""

    warnings: list[WarningDocument] = []


@click.command(cls=Verb, help=help_words("help.why"))
@click.argument("task_id", metavar="ID")
@json_option
@pass_invocation
def why(invocation: Invocation, task_id: str) -> None:
    """Print what happened to a task: when, who or what did it, and from what evidence."""
    path = f"/api/tasks/{quote(task_id, safe='')}/story"
    if invocation.as_json:
        invocation.answer(asked_as_json(invocation, path, lambda files: files.story(task_id)))
        return
    story = asked(invocation, path, Story, lambda files: files.story(task_id))
    invocation.show(_as_text(story, invocation.words))
    for message in _troubles(invocation, story):
        invocation.show(printable(message))


def _troubles(invocation: Invocation, story: Story) -> Iterator[str]:
    """Yield what keeps the daemon from going on with an open task; it may be the disk."""
    if story.stage not in OPEN_STAGES:
        return
    found = asked(invocation, "/api/status", _Troubles, lambda _: _Troubles())
    wanted = {"ledger", "outputs"} if story.stage == Stage.COLLECTING else {"ledger"}
    yield from (each.message for each in found.warnings if each.code in wanted)


def _as_text(story: Story, words: Words) -> str:
    """Return a headline, a paragraph for each event, and how the task stands now."""
    values = {
        "task": story.task_id,
        "row": story.row_number,
        "batch": story.batch_id,
        "type": story.workflow_type,
        "status": words(f"status.{story.status}"),
    }
    lines = [printable(words("story.headline", **values))]
    for event in story.story:
        lines.append(
            f"{local_time(event.at)}  {words('story.by', who=event.who)}{printable(event.text)}"
        )
        lines += [f"    {printable(sentence)}" for sentence in event.because]
    return "\n".join([*lines, *_now(story, words)])


def _now(story: Story, words: Words) -> list[str]:
    """Return what the task waits for, when that is not told by its last event."""
    lines: list[str] = []
    if story.requested is not None:
        lines.append(
            words("story.still_requested", requested=words.named("request", story.requested))
        )
    if story.retry_count:
        lines.append(words("story.see_retries", count=story.retry_count, task=story.task_id))
    return lines
