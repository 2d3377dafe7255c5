"""The words people use for where a task stands."""

import click

from daemon.cli.frame import words_of
from daemon.words import Words
from daemon.words.actors import cancelled_by
from daemon.words.retelling import in_language
from ledger.status import STATUS_OF, Stage, Status
from ledger.task import Task

#: What a batch's tasks are counted as, in the order of a task's life.
COUNTS = ("total", "completed", "processing", "pending", "failed", "cancelled", "blocked")

_IN_ENGLISH = {
    "pending": Status.WAITING,
    "processing": Status.PROCESSING,
    "completed": Status.DONE,
}


def stages_named(
    ctx: click.Context, param: click.Parameter, given: str | None
) -> frozenset[Stage] | None:
    """Return the stages that 在处理中, ``processing`` or a stage such as ``running`` means."""
    if given is None:
        return None
    word = given.strip().lower()
    if word in list(Stage):
        return frozenset({Stage(word)})
    status = _IN_ENGLISH.get(word, word)
    if status in list(Status):
        return frozenset(stage for stage, shown in STATUS_OF.items() if shown == status)
    words = words_of(ctx)
    known = [*(Status if words.language == "zh" else _IN_ENGLISH), *Stage]
    raise click.BadParameter(words("tasks.no_status", given=given, known=known), ctx, param)


def remark(task: Task, words: Words) -> str:
    """Return the one thing worth saying about where *task* stands."""
    said = in_language(task.error_message or task.blocked_by or "", words.language)
    if not said and task.stage is Stage.CANCELLED and task.requested_by:
        return cancelled_by(task.requested_by, words)
    return said or words.named("request", task.requested or "")
