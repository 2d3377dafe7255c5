"""Where a server listens, and how it stops so that no client is left waiting."""

import asyncio
import socket

from aiohttp import web

#: Turns of the loop from an accepted socket to a connection: its task, and what that calls soon.
_TURNS_TO_BE_BORN = 3


class Listening:
    """One address of an application; opened and closed as often as wanted."""

    def __init__(self, runner: web.AppRunner) -> None:
        self._runner = runner
        self._socket: socket.socket | None = None
        self._site: web.SockSite | None = None

    async def open(self, host: str, port: int) -> int:
        """Listen; returns the port, a free one for 0. Raises OSError when it is taken."""
        self._socket = socket.create_server((host, port))
        self._site = web.SockSite(self._runner, self._socket)
        await self._site.start()
        bound: int = self._socket.getsockname()[1]
        return bound

    async def close(self) -> None:
        """Accept no more; every connection accepted before is known to the runner.

        asyncio drops a connection that it accepted in the turn in which its server is closed, and
        leaves its socket open (3.11, ``Server._attach``): the other side would wait for ever.
        """
        if self._socket is None or self._site is None:
            return
        asyncio.get_running_loop().remove_reader(self._socket)
        for _ in range(_TURNS_TO_BE_BORN):
            await asyncio.sleep(0)
        await self._site.stop()
        self._socket = self._site = None
