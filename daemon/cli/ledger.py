"""`ledger verify|export|history|backup` read beside a running daemon; the others take its lock."""

from datetime import UTC, datetime
from pathlib import Path

import click
import msgspec

from daemon.cli import task_view
from daemon.cli.changes import as_documents
from daemon.cli.commands import help_words, json_option
from daemon.cli.invocation import Invocation, pass_invocation
from daemon.cli.refusal import BAD_REQUEST, worded
from daemon.cli.verb import Verb, told
from daemon.words.retelling import LEDGER, in_each_language, in_language
from daemon.words.values import size
from ledger.errors import LedgerDamaged, NotABackup, UnknownRecord
from ledger.jsondir.reader import history, read_state
from ledger.timestamps import to_timestamp


@click.group(help=help_words("help.ledger"))
def ledger() -> None:
    """Look after the ledger."""


@ledger.command(cls=Verb, help=help_words("help.ledger.verify"))
@json_option
@pass_invocation
def verify(invocation: Invocation) -> int:
    """Print everything that is wrong with the ledger; 1 if there is something."""
    from ledger.jsondir.check import verify as find_problems  # noqa: PLC0415 - reads every file

    settings = invocation.settings
    problems = find_problems(settings.ledger.path, outputs_root=settings.state_dir)
    state = read_state(settings.ledger.path)
    if invocation.as_json:
        invocation.answer({"ok": not problems, "problems": problems, "last_seq": state.last_seq})
        return 1 if problems else 0
    for problem in problems:
        invocation.show(in_language(problem, invocation.words.language, LEDGER))
    if problems:
        invocation.say("verify.damaged", count=len(problems))
        return 1
    counts = {"tasks": len(state.tasks), "batches": len(state.batches), "seq": state.last_seq}
    invocation.say("verify.clean", **counts)
    return 0


@ledger.command(cls=Verb, help=help_words("help.ledger.export"))
@pass_invocation
def export(invocation: Invocation) -> None:
    """Print the state as one JSON document in the form of ``ledger.json``."""
    from ledger.jsondir.export import as_document  # noqa: PLC0415 - only here

    path, now = invocation.settings.ledger.path, to_timestamp(datetime.now(UTC))
    for piece in as_document(path, now):
        click.echo(piece, nl=False)


@ledger.command("history", cls=Verb, help=help_words("help.ledger.history"))
@click.argument("task_id", metavar="ID")
@json_option
@pass_invocation
def show_history(invocation: Invocation, task_id: str) -> None:
    """Print every change of a task, the oldest first."""
    changes = history(invocation.settings.ledger.path, task_id)
    if not changes:
        raise UnknownRecord("task", task_id)
    if invocation.as_json:
        invocation.answer({"history": as_documents(changes)})
    else:
        invocation.show(task_view.changes(changes, invocation.words))


@ledger.command(cls=Verb, help=help_words("help.ledger.compact"))
@pass_invocation
def compact(invocation: Invocation) -> None:
    """Write a fresh snapshot and archive what it made superfluous."""
    from ledger.direct import DirectLedger  # noqa: PLC0415 - commands that read do without

    with DirectLedger(invocation.settings.ledger.path) as direct:
        direct.compact()
    invocation.say("compact.done")


@ledger.command(cls=Verb, help=help_words("help.ledger.repair"))
@json_option
@pass_invocation
def repair(invocation: Invocation) -> None:
    """Keep all that is whole, put the damaged files aside, and list what was lost."""
    from ledger.jsondir.repair import repair as mend  # noqa: PLC0415 - takes the lock

    done = mend(invocation.settings.ledger.path, now=lambda: datetime.now(UTC))
    if invocation.as_json:
        invocation.answer(done)
        return
    for what in done.lost:
        invocation.say("repair.lost", what=in_each_language(what, LEDGER))
    for name in done.kept_aside:
        invocation.say("repair.aside", name=name)
    for name in done.made_again:
        invocation.say("repair.made_again", name=name)
    for what in done.not_mended:
        invocation.say("repair.not_mended", what=in_each_language(what, LEDGER))
    if done.lost or done.kept_aside or done.made_again:
        invocation.say("repair.done")
    elif not done.not_mended:
        invocation.say("repair.nothing")


@ledger.command(cls=Verb, help=help_words("help.ledger.backup"))
@click.argument(
    "target", metavar="[PATH]", required=False, type=click.Path(path_type=Path, resolve_path=True)
)
@json_option
@pass_invocation
def backup(invocation: Invocation, target: Path | None) -> None:
    """Put a copy of the ledger, read back whole, where nothing is yet; a daemon may run."""
    from daemon.upkeep.backup import BACKUPS, COPYING, free_name  # noqa: PLC0415 - only here
    from ledger.jsondir.backup import back_up  # noqa: PLC0415 - likewise

    settings, words = invocation.settings, invocation.words
    if target is None:
        target = free_name(settings.state_dir / BACKUPS, datetime.now(UTC))
    try:
        unfinished = target.with_name(target.name + COPYING)
        made = back_up(settings.ledger.path, target, unfinished)
    except FileExistsError as error:
        raise worded("backup_exists", words, {"path": str(error.filename)}) from error
    except NotABackup as error:
        raise worded("no_ledger", words, {"folder": error.folder}) from error
    except LedgerDamaged as error:
        raise worded("ledger_damaged", words, {"reason": told(error)}, status=503) from error
    if invocation.as_json:
        invocation.answer(msgspec.to_builtins(made) | {"path": str(target)})
        return
    values = {"tasks": made.tasks, "seq": made.last_seq, "size": size(made.size_bytes)}
    invocation.say("backup.done", path=str(target), **values)


@ledger.command(cls=Verb, help=help_words("help.ledger.restore"))
@click.argument("backup", metavar="BACKUP")
@json_option
@pass_invocation
def restore(invocation: Invocation, backup: str) -> None:
    """Put a backup in the ledger's place, and the ledger that was there aside."""
    from daemon.upkeep.backup import BACKUPS, backups_in  # noqa: PLC0415 - only here
    from ledger.jsondir.restore import restore as put_back  # noqa: PLC0415 - takes the lock

    settings, words = invocation.settings, invocation.words
    backups = settings.state_dir / BACKUPS
    folder = backups / backup if (backups / backup).is_dir() else Path(backup)
    try:
        done = put_back(settings.ledger.path, folder, now=lambda: datetime.now(UTC))
    except NotABackup as error:
        there = [path.name for path in backups_in(backups)]
        values = {"folder": error.folder, "there": ", ".join(there) or "-"}
        raise worded("unknown_backup", words, values, status=BAD_REQUEST) from error
    except LedgerDamaged as error:
        raise worded("backup_damaged", words, {"reason": told(error)}, status=503) from error
    if invocation.as_json:
        invocation.answer(done)
        return
    invocation.say("restore.done", backup=folder.name, tasks=done.tasks, seq=done.last_seq)
    if done.lost is not None:
        invocation.say("restore.lost", first=done.lost[0], last=done.lost[1])
    if done.kept_aside is not None:
        invocation.say("restore.aside", path=done.kept_aside)
    invocation.say("restore.next")
    invocation.say("restore.once_more")
