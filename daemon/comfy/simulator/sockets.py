"""The websockets of one simulated server, and the one loop that writes to them."""

import asyncio
import contextlib

import orjson
from aiohttp import web

from daemon.comfy.server import Json

#: A client that does not read for so long loses its socket; the executor never waits for it.
_WRITE_SECONDS = 1.0
_FLUSH_SECONDS = 0.2


class Sockets:
    """Sockets by client id; frames are posted from anywhere and sent in that order."""

    def __init__(self) -> None:
        self._sockets: dict[str, web.WebSocketResponse] = {}
        self._known: set[str] = set()
        self._deaf: set[str] = set()
        self._frames: asyncio.Queue[tuple[bytes, str | None]] = asyncio.Queue()

    def add(self, client_id: str, socket: web.WebSocketResponse) -> None:
        """Let *socket* hear what is meant for *client_id*, instead of an older one of that id."""
        self._sockets[client_id] = socket
        self._known.add(client_id)
        self._deaf.discard(client_id)

    def deafen(self, client_id: str) -> None:
        """Send this socket nothing more, as if it had been taken out of the list."""
        self._deaf.add(client_id)

    def remove(self, client_id: str, socket: web.WebSocketResponse) -> None:
        """Take *socket* out, unless a newer one has its place."""
        if self._sockets.get(client_id) is socket:
            del self._sockets[client_id]

    def was_here(self, client_id: str) -> bool:
        """Say whether this client id connected before."""
        return client_id in self._known

    def hears(self, client_id: str | None) -> bool:
        """Say whether a frame for this client would reach anybody."""
        return client_id in self._sockets and client_id not in self._deaf

    def post(self, event: str, data: dict[str, Json], client_id: str | None = None) -> None:
        """Send a frame to one client, or to all; returns before it is sent."""
        if client_id is None or self.hears(client_id):
            frame = orjson.dumps({"type": event, "data": data})
            self._frames.put_nowait((frame, client_id))

    async def publish(self) -> None:
        """Send posted frames for as long as the server lives."""
        while True:
            frame, client_id = await self._frames.get()
            names = [client_id] if client_id is not None else list(self._sockets)
            for name in names:
                if self.hears(name):
                    await self._send(name, frame)
            self._frames.task_done()

    async def flush(self) -> None:
        """Wait, but not long, until all posted frames are sent."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_FLUSH_SECONDS):
                await self._frames.join()

    async def _send(self, name: str, frame: bytes) -> None:
        socket = self._sockets[name]
        try:
            async with asyncio.timeout(_WRITE_SECONDS):
                await socket.send_str(frame.decode())
        except (TimeoutError, ConnectionError, RuntimeError):
            self.remove(name, socket)
