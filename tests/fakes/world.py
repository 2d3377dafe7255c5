"""A whole installation in a folder: settings, inbox, real daemon processes, ledger, simulator."""

import asyncio
import csv
import json
import os
import signal
import socket
from collections import Counter
from pathlib import Path
from typing import Any

from PIL import Image

from config.load import load
from config.settings import Settings
from daemon.app import run as run_app
from daemon.clock import Clock
from daemon.comfy.simulator.executions import read_executions
from ledger.batch import Batch
from ledger.jsondir.check import verify
from ledger.jsondir.reader import read_state
from ledger.status import Stage
from ledger.task import Task
from tests.fakes.program import ROOT, Program

SETTINGS = """
state_dir = "state"
[inbox]
settle_seconds = {settle}
wait_for_pictures_seconds = 0.5
rescan_seconds = 1
[web]
port = 0
{servers}
[workflows."图片合成"]
template = "{root}/config/examples/workflows/image_composition.json"
max_auto_retries = {max_auto_retries}
[workflows."图片合成".inputs]
product_image = "product.image"
model_image = "model.image"
seed = "sampler.seed"
[workflows."图片合成".outputs]
image = "output"
[workflows."图生视频"]
template = "{root}/config/examples/workflows/image_to_video.json"
on_uncertain = "{on_uncertain}"
max_auto_retries = {max_auto_retries}
[workflows."图生视频".inputs]
image = "image.image"
{more}
"""

SERVER = """
[[servers]]
name = "{name}"
url = "{url}"
settle_seconds = 0.3
poll_seconds = 0.2
max_in_flight = {max_in_flight}
"""

SMALL_GRAPH = """{
 "10": {"class_type": "EmptyImage", "_meta": {"title": "page"},
        "inputs": {"width": 8, "height": 8, "batch_size": 1, "color": 0}},
 "40": {"class_type": "SaveImage", "_meta": {"title": "output"},
        "inputs": {"images": ["10", 0], "filename_prefix": "x"}}
}"""
SMALL_TYPE = """
[workflows."小图"]
template = "{template}"
max_auto_retries = 0
"""


class World:
    """One state folder and the commands to play with it."""

    def __init__(
        self,
        folder: Path,
        *urls: str,
        max_in_flight: int = 2,
        on_uncertain: str = "rerun",
        max_auto_retries: int = 1,
        settle: float = 0.1,
        more: str = "",
    ) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.config = folder / "rowkeeper.toml"
        servers = "".join(
            SERVER.format(name=f"gpu-{number}", url=url, max_in_flight=max_in_flight)
            for number, url in enumerate(urls)
        )
        text = SETTINGS.format(
            settle=settle,
            servers=servers,
            root=ROOT,
            on_uncertain=on_uncertain,
            max_auto_retries=max_auto_retries,
            more=more,
        )
        self.config.write_text(text, encoding="utf-8")
        self.state = folder / "state"
        self.inbox = self.state / "inbox"
        self.ledger = self.state / "ledger"

    def drop(self, name: str, rows: list[dict[str, str]]) -> Path:
        """Put a job file with its pictures into the inbox as one folder, complete at once."""
        self.inbox.mkdir(parents=True, exist_ok=True)
        made = self.folder / f".{name}"
        made.mkdir()
        headings = list(dict.fromkeys(key for row in rows for key in row))
        with (made / f"{name}.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, headings)
            writer.writeheader()
            writer.writerows(rows)
        pictures = {
            row[key]
            for row in rows
            for key in ("product_image", "model_image", "image")
            if row.get(key)
        }
        for number, picture in enumerate(sorted(pictures)):
            colour = (40 * number % 256, 90, 160)
            Image.new("RGB", (48, 32), colour).save(made / picture)
        drop = self.inbox / name
        made.rename(drop)
        return drop

    async def daemon(self, *arguments: str, **environment: str) -> Program:
        """Start the real program."""
        arguments = ("--config", str(self.config), *arguments)
        return await Program.start(arguments, os.environ | environment)

    async def run(
        self, *arguments: str, seconds: float = 60, **environment: str
    ) -> tuple[int, str]:
        """Run the real program to its end; returns exit code and what it printed and logged."""
        process = await self.daemon(*arguments, **environment)
        return await finish(process, seconds)

    async def asked(self, *arguments: str, seconds: float = 60) -> tuple[int, Any]:
        """Run a command with --json; returns exit code and its document."""
        process = await self.daemon(*arguments, "--json")
        async with asyncio.timeout(seconds):
            out, err = await process.communicate()
        assert out, text(out, err)
        return process.returncode or 0, json.loads(out)

    def settings(self) -> Settings:
        return load(self.config, {}).settings

    async def run_here(self, seconds: float = 60, clock: Clock | None = None) -> int:
        """Run the daemon in this process until nothing is left to do; returns its exit code."""
        async with asyncio.timeout(seconds):
            return await run_app(self.settings(), once=True, clock=clock)

    def tasks(self) -> list[Task]:
        """Return the tasks as another process reads them, in the order of acceptance."""
        state = read_state(self.ledger)
        return [state.tasks[task_id] for task_id in state.tasks]

    def batches(self) -> list[Batch]:
        """Return the batches as another process reads them."""
        return list(read_state(self.ledger).batches.values())

    def stages(self) -> Counter[Stage]:
        """Return how many tasks stand in each stage."""
        return Counter(task.stage for task in self.tasks())

    def verify(self) -> list[str]:
        """Return what `ledger verify` finds."""
        return [str(problem) for problem in verify(self.ledger, outputs_root=self.state)]


def small_world(folder: Path, *urls: str, max_in_flight: int = 4, more: str = "") -> World:
    """Return a world whose rows cost next to nothing to make."""
    folder.mkdir(parents=True)
    template = folder / "small.json"
    template.write_text(SMALL_GRAPH, encoding="utf-8")
    more = SMALL_TYPE.format(template=template) + more
    return World(folder, *urls, max_in_flight=max_in_flight, more=more)


def small_rows(count: int, name: str = "p", urgent: int = 0) -> list[dict[str, str]]:
    """Return rows for a small world; the first *urgent* ones go before those of other files."""
    return [
        {
            "row_number": str(n),
            "product_name": f"{name}{n}",
            "workflow_type": "小图",
            "priority": "1" if n <= urgent else "0",
        }
        for n in range(1, count + 1)
    ]


def free_port() -> int:
    """Return a port that nobody listens on at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def finish(
    process: Program | asyncio.subprocess.Process, seconds: float = 60
) -> tuple[int, str]:
    """Wait for the end of a process; one that takes too long is killed and shown."""
    try:
        async with asyncio.timeout(seconds):
            out, err = await process.communicate()
    except TimeoutError:
        process.kill()
        out, err = await process.communicate()
        raise AssertionError(f"still running after {seconds} s:\n{text(out, err)}") from None
    return process.returncode or 0, text(out, err)


def text(out: bytes, err: bytes) -> str:
    return (out + err).decode("utf-8", "replace")


async def simulator_process(folder: Path, port: int, seconds_per_job: float, *more: str) -> Program:
    """Start a simulator of its own process and wait until it serves."""
    arguments = ("simulate", "--port", str(port), "--folder", str(folder))
    arguments += ("--seconds-per-job", str(seconds_per_job), *more)
    process = await Program.start(arguments, os.environ)
    line = await asyncio.wait_for(process.stdout.readline(), timeout=30)
    assert str(port).encode() in line, line
    return process


async def kill(process: Program | asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.send_signal(signal.SIGKILL)
    await process.wait()


def executions(folder: Path) -> Counter[str]:
    """Return how often each task's graph was begun on the simulator with this folder."""
    return Counter(run.task_id for run in read_executions(folder) if run.task_id)


TWO_ROWS = [
    {
        "row_number": "1",
        "product_name": "茶壶",
        "model_name": "小美",
        "workflow_type": "图片合成",
        "product_image": "pot.png",
        "model_image": "mei.png",
    },
    {
        "row_number": "2",
        "product_name": "茶杯",
        "model_name": "小美",
        "workflow_type": "图片合成+图生视频",
        "product_image": "cup.png",
        "model_image": "mei.png",
    },
]
