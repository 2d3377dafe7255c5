"""`demo`: the main job with nothing but this package: simulator, example rows, real daemon."""

import csv
import io
import os
import shutil
import tempfile
from importlib.resources import as_file, files
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from config.load import load
from config.settings import Server, Settings
from daemon.cli.commands import help_words
from daemon.cli.stages import remark
from daemon.web.address import address_in
from ledger.status import Stage

if TYPE_CHECKING:
    import asyncio

    from daemon.cli.progress import BarDisplay, LineDisplay
    from daemon.web.desk import Desk
    from ledger.ledger import Ledger

#: So that a person can watch; the simulator itself needs a few milliseconds.
SECONDS_PER_JOB = 0.4


@click.command(help=help_words("help.demo"))
@click.option("--rows", type=click.IntRange(1, 100_000), help=help_words("option.rows"))
@click.option("--keep-running", is_flag=True, help=help_words("option.keep_running"))
@click.option(
    "--dir",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    help=help_words("option.demo_dir"),
)
def demo(*, rows: int | None, keep_running: bool, folder: Path | None) -> int:
    """Make the example rows' pictures and videos, and show where they lie."""
    import uvloop  # noqa: PLC0415 - `--help` reads this file, too

    folder = folder or Path(tempfile.mkdtemp(prefix="rowkeeper-demo-"))
    return uvloop.run(_run(folder.absolute(), rows, keep_running=keep_running))


async def _run(folder: Path, rows: int | None, *, keep_running: bool) -> int:
    import asyncio  # noqa: PLC0415 - slow to import

    from daemon.app import run  # noqa: PLC0415 - slow to import
    from daemon.cli import progress  # noqa: PLC0415 - slow to import
    from daemon.comfy.simulator import Simulator  # noqa: PLC0415 - needs the demo extra
    from daemon.logs import set_up  # noqa: PLC0415 - slow to import

    (folder / "comfyui").mkdir(parents=True, exist_ok=True)
    async with Simulator(folder / "comfyui", seconds_per_job=SECONDS_PER_JOB) as simulator:
        settings = _settings(folder, simulator.url)
        set_up(msgspec.structs.replace(settings.log, level="warning"), progress.Terminal())
        drop = drop_example(settings.inbox.path, rows)
        click.echo(help_words("demo.simulator", url=simulator.url))
        click.echo(help_words("demo.dropped", drop=drop))
        summary = _Summary(settings)
        bars = progress.bars_on_terminal(help_words)
        finished = summary.show if keep_running else None

        def observe(desk: "Desk") -> "BarDisplay | LineDisplay":
            summary.ledger = desk.ledger
            if bars is None:
                return progress.LineDisplay(desk, help_words, finished=finished)
            return progress.BarDisplay(desk, bars, help_words, finished=finished)

        ended = asyncio.Event()

        async def work() -> int:
            try:
                return await run(settings, once=not keep_running, observer=observe)
            finally:
                ended.set()

        code, _ = await asyncio.gather(work(), _tell_dashboard(settings.state_dir, ended))
    if not keep_running:
        summary.show()
    return code


async def _tell_dashboard(state_dir: Path, ended: "asyncio.Event") -> None:
    """Say where the dashboard is as soon as it opens."""
    from daemon.clock import SystemClock  # noqa: PLC0415 - slow to import

    clock = SystemClock()
    while not ended.is_set():
        door = address_in(state_dir)
        if door is not None and door.pid == os.getpid():  # an earlier one's may lie there still
            click.echo(help_words("demo.dashboard", url=f"{door.url}/"))
            return
        await clock.pause(0.05, ended)


def _settings(folder: Path, url: str) -> Settings:
    """Return the built-in settings with everything below *folder* and the simulator as server."""
    state_dir = folder / "rowkeeper"
    settings = load(None, {"ROWKEEPER_STATE_DIR": str(state_dir)}, folder).settings
    return msgspec.structs.replace(
        settings,
        inbox=msgspec.structs.replace(settings.inbox, settle_seconds=0.2),
        servers=(Server(name="simulator", url=url, poll_seconds=0.5),),
        web=msgspec.structs.replace(settings.web, port=0),
    )


def drop_example(inbox: Path, rows: int | None = None) -> Path:
    """Put the packaged example job with its pictures into *inbox* as one drop.

    *rows*: so many, the example's own again and again. The folder appears by a rename, complete.
    """
    inbox.mkdir(parents=True, exist_ok=True)
    with as_file(files("config") / "examples" / "jobs" / "spring") as example:
        made = inbox / ".spring.part"
        shutil.copytree(example, made, dirs_exist_ok=True)
    if rows is not None:
        job = made / "spring.csv"
        heading, *lines = csv.reader(io.StringIO(job.read_text(encoding="utf-8-sig")))
        with job.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(heading)
            for number in range(rows):
                writer.writerow([str(number + 1), *lines[number % len(lines)][1:]])
    drop = inbox / "spring"
    made.rename(drop)
    return drop


class _Summary:
    """What was made, and how to look at it."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.ledger: Ledger | None = None

    def show(self, _: "Ledger | None" = None) -> None:
        """Print a line per row and the commands that lead on."""
        if self.ledger is None:
            return
        tasks = list(self.ledger.tasks())
        for task in tasks:
            what = remark(task, help_words)
            if task.stage is Stage.DONE:
                paths = (self._settings.state_dir / file for file in task.output_files)
                what = ", ".join(str(path) for path in paths)
            status = help_words(f"status.{task.status}")
            click.echo(f"{task.row_number:>4}  {task.workflow_type}  {status}  {what}")
        done = sum(task.stage is Stage.DONE for task in tasks)
        ledger = self._settings.ledger.path / "ledger.json"
        click.echo("\n" + help_words("demo.done", done=done, total=len(tasks)))
        if (door := address_in(self._settings.state_dir)) is not None:  # the daemon is still up
            click.echo(help_words("demo.dashboard", url=f"{door.url}/"))
        else:
            click.echo(help_words("demo.no_dashboard"))
        click.echo(help_words("demo.ledger"))
        click.echo(f"  jq '.tasks[] | [.task_id, .status, .output_files]' -c {ledger}")
