"""`retry ID` and `cancel ID`: one task."""

from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import quote

import click

from daemon.actions import tasks
from daemon.actions.plan import Plan
from daemon.cli import answers
from daemon.cli.acting import Planner, Request, act
from daemon.cli.commands import help_words, json_option
from daemon.cli.invocation import Invocation, pass_invocation
from daemon.cli.refusal import worded
from daemon.cli.verb import Verb
from daemon.intake.places import content_path
from ledger.errors import UnknownRecord
from ledger.jsondir import archive

if TYPE_CHECKING:
    from ledger.direct import DirectLedger


@click.command(cls=Verb, help=help_words("help.retry"))
@click.argument("task_id", metavar="ID")
@click.option("--copy-files/--no-copy-files", default=True, help=help_words("option.copy_files"))
@json_option
@pass_invocation
def retry(invocation: Invocation, task_id: str, *, copy_files: bool) -> None:
    """Record a new task for the row of a failed or cancelled one; the old one stays as it is."""
    settings = invocation.settings

    def plan(ledger: "DirectLedger", at: str) -> Plan:
        return tasks.retry(
            ledger,
            task_id,
            copy_files=copy_files,
            at=at,
            input_path=partial(content_path, settings.inputs.path),
            output_path=settings.state_dir.joinpath,
        )

    _do(invocation, task_id, plan, Request(_path(task_id, "retry"), {"copy_files": copy_files}))


@click.command(cls=Verb, help=help_words("help.cancel"))
@click.argument("task_id", metavar="ID")
@json_option
@pass_invocation
def cancel(invocation: Invocation, task_id: str) -> None:
    """Cancel a task that has not ended; one inside ComfyUI ends when the daemon took it out."""

    def plan(ledger: "DirectLedger", at: str) -> Plan:
        return tasks.cancel(ledger, task_id, at=at)

    _do(invocation, task_id, plan, Request(_path(task_id, "cancel")))


def _do(invocation: Invocation, task_id: str, plan: Planner, request: Request) -> None:
    """Have it done; an archived task is refused with the reason that the daemon gives."""
    try:
        answers.tell(invocation, act(invocation, plan, lambda: request))
    except UnknownRecord:
        if archive.find(invocation.settings.ledger.path, task_id) is None:
            raise
        raise worded("task_archived", invocation.words, {"id": task_id}) from None


def _path(task_id: str, verb: str) -> str:
    return f"/api/tasks/{quote(task_id, safe='')}/{verb}"
