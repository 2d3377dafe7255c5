"""`tasks`: a running daemon tells them a page at a time, else the ledger is read."""

from typing import TYPE_CHECKING
from urllib.parse import urlencode

import click

from daemon.cli import views
from daemon.cli.asking import asked, asked_as_json, batches_known
from daemon.cli.batch_names import batch_meant
from daemon.cli.commands import help_words, json_option
from daemon.cli.invocation import Invocation, pass_invocation
from daemon.cli.stages import stages_named
from daemon.cli.verb import Verb
from daemon.web.paging import Wanted
from daemon.web.task_documents import TaskPage
from ledger.status import Stage

if TYPE_CHECKING:
    from daemon.cli.ledger_files import LedgerFiles

#: Tasks on a page when nobody says how many.
PAGE = 1000


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
        batch = batch_meant(batches_known(invocation).batches, batch)
    listed = Wanted(stages=stages, workflow_type=workflow_type, batch_id=batch)
    path = _path(listed, limit, cursor)

    def from_files(files: "LedgerFiles") -> TaskPage:
        if limit is not None:
            return files.newest(listed, limit)
        return files.page(listed, PAGE, cursor)

    if not stages:
        _show(invocation, TaskPage([], None))
    elif invocation.as_json:
        invocation.answer(asked_as_json(invocation, path, from_files))
    else:
        _show(invocation, asked(invocation, path, TaskPage, from_files))


def _path(wanted: Wanted, newest: int | None, cursor: str | None) -> str | None:
    """Return where the daemon tells them; None when it does not tell so many at once."""
    if newest is not None and newest > PAGE:
        return None
    query: list[tuple[str, str]] = [("limit", str(newest or PAGE))]
    if set(wanted.stages) != set(Stage):
        query += [("status", stage.value) for stage in sorted(wanted.stages)]
    given = {"type": wanted.workflow_type, "batch": wanted.batch_id, "cursor": cursor}
    query += [(name, value) for name, value in given.items() if value is not None]
    if newest is not None:
        query.append(("newest", "true"))
    return f"/api/tasks?{urlencode(query)}"


def _show(invocation: Invocation, page: TaskPage) -> None:
    if invocation.as_json:
        invocation.answer(page)
    elif page.tasks:
        invocation.show(views.tasks(page.tasks, invocation.words))
        if page.next_cursor is not None:
            invocation.say("tasks.more", cursor=page.next_cursor)
    else:
        invocation.say("tasks.none")
