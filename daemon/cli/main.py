"""The command line: which command is where, and what exit code an error means."""

import gc
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import click

from config.errors import ConfigError
from daemon import failpoint
from daemon.cli.commands import LazyGroup, help_words
from daemon.cli.frame import Frame, tell, words_of
from daemon.cli.invocation import Invocation, words_of_problems
from daemon.cli.refusal import Refusal
from daemon.words.retelling import SYSTEM, in_language, of_system
from ledger.errors import LedgerError

#: Every command, in the order of `--help`.
COMMANDS = {
    "run": "daemon.cli.run:run",
    "check": "daemon.cli.doctor:check",
    "status": "daemon.cli.status:status",
    "tasks": "daemon.cli.tasks:tasks",
    "task": "daemon.cli.task:task",
    "why": "daemon.cli.why:why",
    "batches": "daemon.cli.batch:batches",
    "batch": "daemon.cli.batch:batch",
    "retry": "daemon.cli.task_verbs:retry",
    "cancel": "daemon.cli.task_verbs:cancel",
    "servers": "daemon.cli.server:servers",
    "server": "daemon.cli.server:server",
    "tables": "daemon.cli.tables:tables",
    "stuck": "daemon.cli.stuck:stuck",
    "recover": "daemon.cli.stuck:recover",
    "submit": "daemon.cli.submit:submit",
    "ledger": "daemon.cli.ledger:ledger",
    "config": "daemon.cli.config:config",
    "service-unit": "daemon.cli.service_unit:service_unit",
    "demo": "daemon.cli.demo:demo",
    "simulate": "daemon.cli.simulate:simulate",
}
FAILED, BAD_USAGE = 1, 2


class _Rowkeeper(LazyGroup):
    """Tells wrong usage, and trouble with disk and ledger, while it knows in whose words."""

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except Refusal:
            raise
        except click.ClickException as error:
            tell(error, words_of(ctx))
            return error.exit_code  # 2 for bad usage, else 1
        except LedgerError as error:
            from daemon.cli.verb import refusal_of  # noqa: PLC0415 - seldom wanted

            raise refusal_of(error, ctx.obj.words) from error
        except OSError as error:
            if not isinstance(ctx.obj, Invocation):
                raise
            from daemon.cli.disk_trouble import sentence_on  # noqa: PLC0415 - seldom wanted

            if isinstance(error, BrokenPipeError) or (said := sentence_on(error, ctx.obj)) is None:
                raise
            click.echo(said, err=True)
            if error.filename is None:
                _forget_output()
            return FAILED


@click.group(
    cls=_Rowkeeper,
    invoke_without_command=True,
    help=help_words("help.main"),
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.option(
    "--config", type=click.Path(path_type=Path, dir_okay=False), help=help_words("option.config")
)
@click.option("--json", "as_json", is_flag=True, help=help_words("option.json"))
@click.version_option(package_name="rowkeeper")
@click.pass_context
def rowkeeper(ctx: click.Context, config: Path | None, *, as_json: bool) -> int | None:
    """Hand the global options to the command; without one, run the daemon."""
    ctx.obj = Invocation(config, os.environ, as_json=as_json)
    if ctx.invoked_subcommand is not None:
        return None
    command = rowkeeper.get_command(ctx, "run")
    assert command is not None  # noqa: S101 - it stands in the table
    return int(ctx.invoke(command) or 0)


rowkeeper.places = COMMANDS
click.Context.formatter_class = Frame  # of every command, whoever made it


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and end the process with the exit code of the contract."""
    _arm_failpoints()
    code = exit_code(arguments)
    gc.freeze()  # else what lives to the end is looked through for rubbish once more: 9 ms
    sys.exit(code)


def exit_code(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code; errors are told on stderr."""
    try:
        answer = rowkeeper.main(arguments, prog_name="rowkeeper", standalone_mode=False)
        sys.stdout.flush()
    except Refusal as error:
        error.show()
        return error.exit_code
    except click.UsageError as error:  # of the options before the command
        tell(error, words_of(error.ctx))
        return BAD_USAGE
    except ConfigError as error:
        return _tell_problems(error)
    except (click.Abort, KeyboardInterrupt):
        return FAILED
    except BrokenPipeError:  # the reader of our output, `head` for example, has seen enough
        _forget_output()
        return FAILED
    except OSError as error:
        return _tell_of_output(error)
    return answer if isinstance(answer, int) else 0


def _tell_of_output(error: OSError) -> int:
    """Tell that our own output cannot be written: only then no command knows of it."""
    from daemon.cli.disk_trouble import DISK_TROUBLE  # noqa: PLC0415 - seldom wanted

    if error.errno not in DISK_TROUBLE:
        raise error
    click.echo(in_language(of_system(error), help_words.language, SYSTEM), err=True)
    _forget_output()
    return FAILED


def _forget_output() -> None:
    """Keep what stdout still holds from failing once more when the process ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _tell_problems(error: ConfigError) -> int:
    words = words_of_problems(error, os.environ)
    for problem in error.problems:
        click.echo(problem.text(words.language), err=True)
    click.echo(words("config.fix", count=len(error.problems)), err=True)
    return BAD_USAGE


def _arm_failpoints() -> None:
    """Let the crash tests kill this very program, or list the places it passes."""
    if record := os.environ.get("ROWKEEPER_FAILPOINT_RECORD"):
        failpoint.arm(failpoint.record_to(record))
    elif order := os.environ.get("ROWKEEPER_FAILPOINT"):
        failpoint.arm(failpoint.kill_at(order))
