"""`check`: looks at everything a run needs and says what to do; changes nothing.

Only with ``--write-test`` a scratch cell of each table is written, and a message sent to the bot.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

import click

from config.errors import ConfigError
from config.settings import Settings
from daemon.cli.check_line import CheckLine
from daemon.cli.commands import help_words, json_option
from daemon.cli.concerns import concerns_on_disk
from daemon.cli.doctor_machine import look_at_ledger, look_at_leftovers, look_at_machine
from daemon.cli.doctor_web import look_at_web
from daemon.cli.invocation import Invocation, pass_invocation
from daemon.cli.run import with_templates
from daemon.cli.verb import refusal_of
from daemon.cli.views import hindered_tables
from daemon.web.standing import table_documents
from daemon.words import Words
from ledger.errors import LedgerTooNew
from ledger.index import Index
from ledger.jsondir.reader import read_state
from ledger.state import State

FINE, FAILED, BAD_CONFIG = 0, 1, 2


@click.command(help=help_words("help.check"))
@click.option("--write-test", is_flag=True, help=help_words("option.write_test"))
@json_option
@pass_invocation
def check(invocation: Invocation, *, write_test: bool) -> int:
    """Print a line for each thing looked at; 2 for bad settings or templates, 1 for the rest."""
    lines = list[CheckLine]()
    for line in _look(invocation, write_test=write_test):
        lines.append(line)
        if not invocation.as_json:
            invocation.show(str(line))
    if invocation.as_json:
        invocation.answer({"ok": _exit_code(lines) == FINE, "checks": lines})
    return _exit_code(lines)


def _look(invocation: Invocation, *, write_test: bool) -> Iterator[CheckLine]:
    try:
        loaded = invocation.loaded
    except ConfigError as error:
        for problem in with_templates(error).problems:
            message = problem.text(invocation.words.language)
            yield CheckLine(level="fail", name="config", message=message, is_config=True)
        return
    import asyncio  # noqa: PLC0415 - only when there is something to ask

    from daemon.cli import doctor_servers as remote  # noqa: PLC0415 - likewise
    from daemon.cli.doctor_tables import look_at_tables  # noqa: PLC0415 - likewise

    settings, words = loaded.settings, invocation.words
    yield from look_at_machine(loaded, words)
    yield from look_at_web(settings, words)
    state, found = _ledger(settings, words)
    yield from found
    yield from look_at_leftovers(settings, words)
    templates, found = remote.load_templates(settings, words)
    yield from found
    answers = asyncio.run(remote.ask_servers(settings, words))
    yield from (answer.line for answer in answers.values())
    judged = remote.judge(templates, answers)
    yield from remote.look_at_workflows(judged, words)
    if state is not None:
        yield from remote.look_at_rows(state, templates, judged, answers, words)
    yield from asyncio.run(look_at_tables(settings, words, write_test=write_test))
    if state is not None:
        yield from _look_at_news(state, settings, words)


def _look_at_news(state: State, settings: Settings, words: Words) -> Iterator[CheckLine]:
    """Yield what lies in the inbox for a person, and which tables could not be told."""
    for concern in concerns_on_disk(settings, state.meta.get("drops", {}), datetime.now(UTC)):
        yield CheckLine(level="warn", name="inbox", message=concern.text(words))
    for one in table_documents(Index(state), settings, words):
        for hindrance in hindered_tables([one], words):
            yield CheckLine(level="warn", name=f"table {one.name}", message=hindrance)


def _ledger(settings: Settings, words: Words) -> tuple[State | None, list[CheckLine]]:
    """Return what the ledger holds, None when we cannot read its format, and how it is."""
    try:
        state = read_state(settings.ledger.path, thorough=True)
    except LedgerTooNew as error:
        message = refusal_of(error, words).format_message()
        return None, [CheckLine(level="fail", name="ledger", message=message)]
    return state, [*look_at_ledger(state, settings, words)]


def _exit_code(lines: Sequence[CheckLine]) -> int:
    failed = [line for line in lines if line.level == "fail"]
    if any(line.is_config for line in failed):
        return BAD_CONFIG
    return FAILED if failed else FINE
