"""The real program as a process of its own, with a page to ask for."""

import asyncio
import contextlib
import json
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp

from tests.fakes.program import Program
from tests.fakes.world import World


class Running:
    """A daemon that serves: its address, its token, and its API for comparison."""

    def __init__(self, process: Program, url: str, token: str) -> None:
        self.process = process
        self.url = url
        self.token = token

    async def get(self, path: str) -> Any:
        async with aiohttp.ClientSession() as session, session.get(self.url + path) as answer:
            return await answer.json()

    async def until(self, path: str, holds: Any, seconds: float = 20) -> Any:
        async with asyncio.timeout(seconds):
            while not holds(document := await self.get(path)):
                await asyncio.sleep(0.05)
        return document


@contextlib.asynccontextmanager
async def running(world: World) -> AsyncIterator[Running]:
    """Run the daemon until the end of the block."""
    address = world.state / "web.json"
    with (world.folder / "log").open("ab") as log:
        arguments = ("--config", str(world.config), "run")
        process = await Program.start(arguments, os.environ | {"LANG": "C.UTF-8"}, log)
    try:
        async with asyncio.timeout(60):
            while (url := url_in(address, process.pid)) is None:
                assert process.returncode is None, (world.folder / "log").read_text("utf-8")
                await asyncio.sleep(0.05)
        token = (world.state / "admin-token").read_text("utf-8").strip()
        yield Running(process, url, token)
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        await process.wait()


def url_in(address: Path, pid: int) -> str | None:
    """Return where the process with this id listens, None before it does."""
    try:
        found = json.loads(address.read_bytes())
    except (FileNotFoundError, ValueError):
        return None
    return str(found["url"]) if found["pid"] == pid else None


def keep_port(world: World) -> None:
    """Let every later start listen where this one does."""
    url = json.loads((world.state / "web.json").read_bytes())["url"]
    text = world.config.read_text("utf-8")
    port = url.rpartition(":")[2]
    world.config.write_text(text.replace("[web]\nport = 0", f"[web]\nport = {port}"), "utf-8")
