"""`retry ID` and `cancel ID`: one task."""

from typing import TYPE_CHECKING
from urllib.parse import quote

import click

from daemon.cli import answers
from daemon.cli.acting import Planner, Request, act
from daemon.cli.commands import help_words, json_option
from daemon.cli.invocation import Invocation, pass_invocation
from daemon.cli.refusal import worded
from daemon.cli.verb import Verb
from ledger.errors import UnknownRecord

if TYPE_CHECKING:
    from daemon.actions.plan import Plan
    from ledger.direct import DirectLedger


@click.command(cls=Verb, help=help_words("help.retry"))
@click.argument("task_id", metavar="ID")
@click.option("--copy-files/--no-copy-files", default=True, help=help_words("option.copy_files"))
@json_option
@pass_invocation
def retry(invocation: Invocation, task_id: str, *, copy_files: bool) -> None:
    """Record a new task for the row of a failed or cancelled one; the old one stays as it is."""

    def plan(ledger: "DirectLedger", at: str) -> "Plan":
        from daemon.cli import plans  # noqa: PLC0415 - mostly a daemon does it

        settings = invocation.settings
        return plans.retry(ledger, task_id, settings, copy_files=copy_files, at=at)

    _do(invocation, task_id, plan, Request(_path(task_id, "retry"), {"copy_files": copy_files}))


@click.command(cls=Verb, help=help_words("help.cancel"))
@click.argument("task_id", metavar="ID")
@json_option
@pass_invocation
def cancel(invocation: Invocation, task_id: str) -> None:
    """Cancel a task that has not ended; one inside ComfyUI ends when the daemon took it out."""

    def plan(ledger: "DirectLedger", at: str) -> "Plan":
        from daemon.cli import plans  # noqa: PLC0415 - mostly a daemon does it

        return plans.cancel(ledger, task_id, at=at)

    _do(invocation, task_id, plan, Request(_path(task_id, "cancel")))


def _do(invocation: Invocation, task_id: str, plan: Planner, request: Request) -> None:
    """Have it done; an archived task is refused with the reason that the daemon gives."""
    try:
        answers.tell(invocation, act(invocation, plan, request))
    except UnknownRecord:
        from ledger.jsondir import archive  # noqa: PLC0415 - slow to import, seldom wanted

        if archive.find(invocation.settings.ledger.path, task_id) is None:
            raise
        raise worded("task_archived", invocation.words, {"id": task_id}) from None


def _path(task_id: str, verb: str) -> str:
    return f"/api/tasks/{quote(task_id, safe='')}/{verb}"
