"""`simulate`: the ComfyUI-compatible simulator alone."""

import tempfile
from pathlib import Path

import click

from daemon.cli.commands import help_words
from daemon.cli.frame import words_of
from daemon.cli.invocation import Invocation, pass_invocation

NEWEST_RECORDED = "0.33.0"


def _faults(ctx: click.Context, param: click.Parameter, given: tuple[str, ...]) -> dict[str, float]:
    faults = {}
    for order in given:
        name, _, amount = order.rpartition("=") if "=" in order else (order, "", "")
        try:
            faults[name] = float(amount or "1")
        except ValueError as error:
            shape = words_of(ctx)("simulate.fault_form", given=order)
            raise click.BadParameter(shape, ctx, param) from error
    return faults


@click.command(help=help_words("help.simulate"))
@click.option("--host", default="127.0.0.1", show_default=True, help=help_words("option.host"))
@click.option(
    "--port",
    default=8188,
    show_default=True,
    type=click.IntRange(0, 65535),
    help=help_words("option.port"),
)
@click.option(
    "--seconds-per-job",
    default=0.0,
    type=click.FloatRange(0),
    help=help_words("option.seconds_per_job"),
)
@click.option(
    "--fault",
    "faults",
    multiple=True,
    metavar="NAME[:TARGET]=P",
    callback=_faults,
    help=help_words("option.fault"),
)
@click.option(
    "--folder", type=click.Path(path_type=Path, file_okay=False), help=help_words("option.folder")
)
@click.option(
    "--version", default=NEWEST_RECORDED, show_default=True, help=help_words("option.version")
)
@pass_invocation
def simulate(
    invocation: Invocation,
    *,
    host: str,
    port: int,
    seconds_per_job: float,
    faults: dict[str, float],
    folder: Path | None,
    version: str,
) -> None:
    """Serve until Ctrl-C; without *folder* in a temporary one that is deleted at the end."""
    import asyncio  # noqa: PLC0415 - commands that only read must not pay for it

    try:
        from daemon.comfy.simulator.main import serve  # noqa: PLC0415 - likewise; it needs PyAV
    except ModuleNotFoundError as error:
        raise click.ClickException(
            invocation.words("simulate.extra", module=error.name or "")
        ) from error

    def announce(url: str) -> None:
        invocation.say("simulate.ready", url=url)

    with tempfile.TemporaryDirectory(prefix="rowkeeper-simulator-") as temporary:
        home = folder or Path(temporary)
        home.mkdir(parents=True, exist_ok=True)
        try:
            asyncio.run(serve(home, host, port, version, seconds_per_job, faults, announce))
        except ValueError as error:  # an unknown fault or version
            raise click.UsageError(str(error)) from error
        except OSError as error:
            said = invocation.words("trouble.file", path=f"{host}:{port}", said=error)
            raise click.ClickException(said) from error
