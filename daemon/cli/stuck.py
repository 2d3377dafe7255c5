"""`stuck` looks for stuck tasks, `recover` sets them right; through the daemon when one runs."""

import math
from collections.abc import Mapping

import click

from daemon.cli.acting import actor, client_of_holder, perform
from daemon.cli.commands import help_words, json_option
from daemon.cli.daemon_client import SLOW_ANSWER_SECONDS, Answer, DaemonClient, with_query
from daemon.cli.invocation import Invocation, pass_invocation
from daemon.cli.render import table
from daemon.cli.verb import Verb
from daemon.words import Words
from daemon.words.values import printable
from ledger.task import Json

CHECK, RECOVERY = "/api/diagnosis/tasks/status-check", "/api/diagnosis/tasks/recovery"


def _a_number(ctx: click.Context, param: click.Parameter, given: float | None) -> float | None:
    if given is not None and math.isnan(given):  # no range keeps it out
        raise click.BadParameter("nan", ctx, param)
    return given


minutes_option = click.option(
    "--max-runtime-minutes",
    "max_minutes",
    type=click.FloatRange(0, 1_000_000, min_open=True),
    callback=_a_number,
    help=help_words("option.max_runtime_minutes"),
)


@click.command(cls=Verb, help=help_words("help.stuck"))
@minutes_option
@json_option
@pass_invocation
def stuck(invocation: Invocation, *, max_minutes: float | None) -> int:
    """Print how every task in process really stands; 1 when one is stuck. Changes nothing."""
    if (daemon := client_of_holder(invocation)) is not None:
        path = with_query(CHECK, max_runtime_minutes=max_minutes)
        answer = daemon.get(path, Answer, wait_seconds=SLOW_ANSWER_SECONDS)
    else:
        from daemon.cli import diagnosing  # noqa: PLC0415 - only where servers are asked from here

        answer = diagnosing.check(invocation, max_minutes)
    if invocation.as_json:
        invocation.answer(answer)
    else:
        invocation.show(_as_text(answer, invocation.words))
    return 1 if answer["total_stuck"] else 0


@click.command(cls=Verb, help=help_words("help.recover"))
@click.option("--force", is_flag=True, help=help_words("option.force"))
@minutes_option
@json_option
@pass_invocation
def recover(invocation: Invocation, *, force: bool, max_minutes: float | None) -> None:
    """Adopt what has ended, reset what is really lost; the ledger is backed up before."""

    def through(daemon: DaemonClient) -> Mapping[str, Json]:
        path = with_query(RECOVERY, force_reset=force, max_runtime_minutes=max_minutes)
        return daemon.post(path, {}, Answer, wait_seconds=SLOW_ANSWER_SECONDS)

    def directly() -> Mapping[str, Json]:
        from daemon.cli import diagnosing  # noqa: PLC0415 - only where servers are asked from here

        return diagnosing.recover(invocation, actor(), force=force, max_minutes=max_minutes)

    answer = perform(invocation, directly, through)
    if invocation.as_json:
        invocation.answer(answer)
    else:
        ids = [f"  {each}" for each in _listed(answer["reset_task_ids"])]
        invocation.show("\n".join([printable(str(answer["message"])), *ids]))


def _as_text(answer: Mapping[str, Json], words: Words) -> str:
    heads = [words(f"column.{head}") for head in ("task", "name", "minutes")]
    found = [each for each in _listed(answer["running_tasks"]) if isinstance(each, dict)]
    rows = [[each["id"], each["name"], each["runtime_minutes"]] for each in found]
    shown = [table(heads, rows), ""] if rows else []
    reasons = [
        printable(f"{each['id']}: {each['stuck_reason']}") for each in found if each["stuck_reason"]
    ]
    return "\n".join([*shown, *reasons, printable(str(answer["message"]))])


def _listed(value: Json) -> list[Json]:
    return value if isinstance(value, list) else []
