"""`run`: the daemon in the foreground."""

import signal
from typing import TYPE_CHECKING

import click

from config.errors import ConfigError, Problem
from config.sections import secrets_in
from config.settings import Settings
from daemon.cli.commands import help_words
from daemon.cli.invocation import Invocation, pass_invocation
from daemon.cli.verb import Verb
from daemon.words import Words
from daemon.words.retelling import in_language
from daemon.words.values import printable

if TYPE_CHECKING:
    from daemon.dispatch.templates import TemplateError
    from daemon.upkeep.outcome import Outcome


@click.command(cls=Verb, help=help_words("help.run"))
@click.option("--once", is_flag=True, help=help_words("option.once"))
@pass_invocation
def run(invocation: Invocation, *, once: bool = False) -> int:
    """Run the daemon until a signal ends it, or with *once* until nothing is left to do."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})  # it would end us until we listen
    try:
        settings = invocation.settings  # before the slow imports: bad settings are told at once
    except ConfigError as error:
        raise with_templates(error) from error
    import uvloop  # noqa: PLC0415 - commands that only read must not pay for it

    from daemon import app, logs  # noqa: PLC0415 - likewise
    from daemon.cli import progress  # noqa: PLC0415 - likewise
    from daemon.dispatch.templates import TemplateError  # noqa: PLC0415 - likewise
    from daemon.notify import ServiceManager  # noqa: PLC0415 - likewise
    from daemon.upkeep import freed_memory  # noqa: PLC0415 - likewise

    def reload() -> Settings:
        return invocation.read_again().settings

    freed_memory.keep_little()
    logs.set_up(settings.log, progress.Terminal(), list(secrets_in(settings)))
    manager = ServiceManager(invocation.env)
    observer = progress.observer_on_terminal(invocation.words)
    try:
        return uvloop.run(
            app.run(
                settings,
                once=once,
                reload=reload,
                observer=observer,
                manager=manager,
                ended=lambda outcome: click.echo(summary(outcome, invocation.words), err=True),
            )
        )
    except TemplateError as error:
        raise config_error(error) from error
    finally:
        manager.close()


def summary(outcome: "Outcome", words: Words) -> str:
    """Return in one line what became of the rows, and why some wait."""
    parts = [
        words(
            "once.summary",
            done=outcome.done,
            failed=outcome.failed,
            rejected=outcome.rejected,
            waiting=sum(outcome.waiting.values()),
        )
    ]
    for why, count in outcome.waiting.items():
        match why.reason:
            case "blocked":
                parts.append(words("once.blocked", count=count))
            case "batch":
                status = words(f"batch.{why.status}")
                parts.append(words("once.batch", count=count, batch=why.subject, status=status))
            case _:
                error = printable(in_language(why.subject, words.language))
                parts.append(words("once.error", count=count, error=error))
    if outcome.tables_hindered:
        parts.append(words("once.tables"))
    return words("once.and").join(parts)


def with_templates(error: ConfigError) -> ConfigError:
    """Return the error with what is wrong, besides, with the templates of the workflows."""
    from daemon.dispatch.templates import TemplateError  # noqa: PLC0415 - only for bad settings
    from daemon.dispatch.workflow import load_templates  # noqa: PLC0415 - likewise

    if error.readable is None:
        return error
    try:
        load_templates(error.readable.workflows)
    except TemplateError as also:
        return error.with_more(config_error(also).problems)
    return error


def config_error(error: "TemplateError") -> ConfigError:
    """Return the problems of templates as problems of the settings, which name them."""
    return ConfigError(
        [Problem(place=key, faults=(what, fix)) for key, what, fix in error.problems]
    )
