"""The real daemon in this process, asked over its real HTTP door."""

import asyncio
import contextlib
import io
import json
from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING, Any

import aiohttp
from yarl import URL

from daemon.app import run as run_app
from daemon.clock import Clock
from daemon.web.desk import Desk
from tests.fakes.world import World

if TYPE_CHECKING:
    from ledger.ledger import Ledger


class Answer:
    """Status, headers and body of an answer, read whole."""

    def __init__(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        self.status = status
        self.headers = headers
        self.body = body

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        """The code of a refusal."""
        assert self.json["success"] is False
        return str(self.json["error"]["code"])


class Door:
    """Asks one daemon; with the token unless told otherwise."""

    def __init__(self, session: aiohttp.ClientSession, url: str, token: str) -> None:
        self.session = session
        self.url = url
        self.token = token
        self.ledger: Ledger | None = None

    async def get(self, path: str, **more: Any) -> Answer:
        return await self.ask("GET", path, **more)

    async def post(
        self, path: str, body: Any = None, *, token: str | None = "", **more: Any
    ) -> Answer:
        """POST *body* as JSON; *token* None sends none, "" the right one."""
        headers = dict(more.pop("headers", {}))
        if token is not None:
            headers["Authorization"] = f"Bearer {token or self.token}"
        if body is not None:
            content = body if isinstance(body, bytes) else json.dumps(body).encode()
            more["data"] = io.BytesIO(content)
            headers.setdefault("Content-Type", "application/json")
        return await self.ask("POST", path, headers=headers, **more)

    async def ask(self, method: str, path: str, **more: Any) -> Answer:
        url = URL(self.url + path, encoded=True)
        async with self.session.request(method, url, **more) as response:
            return Answer(response.status, response.headers, await response.read())

    async def until(self, path: str, holds: Any, seconds: float = 20) -> Any:
        """Ask for *path* until *holds* says yes of the answer; returns it."""
        async with asyncio.timeout(seconds):
            while not holds(document := (await self.get(path)).json):
                await asyncio.sleep(0.02)
        return document


class _Hook:
    """A service that hands out the stop event and the ledger."""

    name = "hook"

    def __init__(self) -> None:
        self.ledger: Ledger | None = None
        self.begun: asyncio.Future[asyncio.Event] = asyncio.get_running_loop().create_future()

    def __call__(self, desk: Desk) -> "_Hook":
        self.ledger = desk.ledger
        return self

    async def run(self, stop: asyncio.Event) -> None:
        self.begun.set_result(stop)
        await stop.wait()


@contextlib.asynccontextmanager
async def open_door(world: World, clock: Clock | None = None) -> AsyncIterator[Door]:
    """Run the daemon on *world* until the end of the block."""
    hook = _Hook()
    address = world.state / "web.json"
    address.unlink(missing_ok=True)
    daemon = asyncio.create_task(run_app(world.settings(), clock=clock, observer=hook))
    try:
        async with asyncio.timeout(20):
            while not address.exists():
                if daemon.done():
                    daemon.result()
                await asyncio.sleep(0.01)
            stop = await hook.begun
        url = json.loads(address.read_bytes())["url"]
        token = (world.state / "admin-token").read_text().strip()
        async with aiohttp.ClientSession() as session:
            door = Door(session, url, token)
            door.ledger = hook.ledger
            yield door
    finally:
        if not daemon.done():
            if hook.begun.done():
                stop.set()
            else:
                daemon.cancel()
        await asyncio.wait([daemon])
    daemon.result()
