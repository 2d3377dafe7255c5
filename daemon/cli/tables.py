"""`tables`, `tables reconcile` and `tables resume`."""

from collections.abc import Sequence

import click

from daemon.cli.acting import perform
from daemon.cli.asking import asked, asked_as_json
from daemon.cli.commands import help_words, json_option
from daemon.cli.invocation import Invocation, pass_invocation
from daemon.cli.render import table
from daemon.cli.verb import Verb
from daemon.cli.views import hindered_tables
from daemon.web.table_documents import ReconciliationDone, TableDocument, TablesDocument
from daemon.words import Words
from daemon.words.values import printable

#: Every row of every table is read twice, and those that differ are written.
RECONCILE_SECONDS = 600.0


@click.command(cls=Verb, help=help_words("help.tables"))
@click.argument("verb", required=False, type=click.Choice(["reconcile", "resume"]))
@json_option
@pass_invocation
def tables(invocation: Invocation, verb: str | None) -> int:
    """Show how the tables stand, put right what differs from the ledger, or let calls pass."""
    if verb == "reconcile":
        return _reconcile(invocation)
    if verb == "resume":
        return _resume(invocation)
    path = "/api/tables"
    if invocation.as_json:
        invocation.answer(asked_as_json(invocation, path, lambda files: files.tables()))
        return 0
    found = asked(invocation, path, TablesDocument, lambda files: files.tables())
    if found.tables:
        invocation.show(_as_text(found.tables, invocation.words))
    else:
        invocation.say("outbox.none_set")
    return 0


def _reconcile(invocation: Invocation) -> int:
    def directly() -> ReconciliationDone:
        from daemon.table_work import reconcile_here  # noqa: PLC0415 - tables need an event loop

        return reconcile_here(invocation.settings, invocation.words)

    done = perform(
        invocation,
        directly,
        lambda daemon: daemon.post(
            "/api/tables/reconcile", {}, ReconciliationDone, wait_seconds=RECONCILE_SECONDS
        ),
    )
    if invocation.as_json:
        invocation.answer(done)
    else:
        invocation.show(_told(done, invocation.words))
    return 0 if done.success else 1


def _resume(invocation: Invocation) -> int:
    """Let calls to Feishu pass before their month ends; a running daemon sees it by itself."""
    from daemon.tables.opening import resume_feishu  # noqa: PLC0415 - it wants an event loop

    changed = resume_feishu(invocation.settings)
    message = invocation.words("table.feishu_resumed" if changed else "table.feishu_not_paused")
    if invocation.as_json:
        invocation.answer({"success": True, "changed": changed, "message": message})
    else:
        invocation.show(message)
    return 0


def _as_text(found: Sequence[TableDocument], words: Words) -> str:
    """Return a line for each table, and below them what hinders one."""
    heads = ("name", "kind", "unpublished", "refused", "edited", "place")
    rows = [
        [one.name, one.kind, one.unpublished, one.refused, len(one.edited), one.place]
        for one in found
    ]
    lines = [table([words(f"column.{head}") for head in heads], rows)]
    lines += hindered_tables(found, words)
    for one in found:
        lines += _refused_rows(one, words)
        if one.edited:
            listed = ", ".join(one.edited[:10])
            own = words.about(one.headings)
            lines.append(own("outbox.edited", name=one.name, rows=listed))
    return "\n".join(lines)


def _refused_rows(one: TableDocument, words: Words) -> list[str]:
    """Return a line for each of the first rows that cannot run, and how many more there are."""
    lines = [
        words("outbox.refused", name=one.name, row=each.row, why=printable(each.message))
        for each in one.refused_rows
    ]
    if lines and (more := one.refused - len(lines)) > 0:
        own = words.about(one.headings)
        lines.append(own("outbox.refused_more", name=one.name, count=more))
    return lines


def _told(done: ReconciliationDone, words: Words) -> str:
    """Return what was put right, cell by cell."""
    cells = [
        [each.table, cell.row, cell.column, cell.was, cell.now]
        for each in done.tables
        for cell in each.differences
    ]
    heads = ("table", "row_key", "heading", "was", "now")
    lines = [table([words(f"column.{head}") for head in heads], cells), ""] if cells else []
    for each in done.tables:
        if each.error is not None:
            lines.append(words("outbox.not_read", name=each.table, why=each.error))
        own = words.about(each.headings)
        lines += [own("outbox.row_gone", name=each.table, row=row) for row in each.gone]
        lines += [f"{each.table} {row}: {why}" for row, why in each.refused.items()]
    return "\n".join([*lines, done.message])
