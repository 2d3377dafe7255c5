"""The wire to Feishu: one session; what breaks on it is told without any secret."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import aiohttp
import msgspec

from daemon.words.recorded import recorded

READ_BUFFER_BYTES = 1024 * 1024


class Timeouts(msgspec.Struct, frozen=True, kw_only=True):
    """How long each kind of call may take."""

    connect_seconds: float = 10.0
    json_seconds: float = 30.0  # plus the time that a large body needs
    upload_seconds: float = 600.0  # a file or a part of one, at most 20 MB
    upload_bytes_per_second: float = 64 * 1024.0  # slower than this is as good as dead
    idle_seconds: float = 60.0  # a download in which nothing moves so long has ended


class Broken(Exception):
    """No whole answer came; whether the request arrived is not known."""


class Reply(msgspec.Struct, frozen=True):
    """An answer of any status, read to its end."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Wire:
    """One session for all calls to one address; it keeps no cookies and follows no redirects."""

    def __init__(self, base_url: str, timeouts: Timeouts | None = None) -> None:
        self.timeouts = timeouts or Timeouts()
        self._base = base_url.rstrip("/")
        self._session: aiohttp.ClientSession | None = None

    async def send(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str],
        params: list[tuple[str, str]] | None = None,
        body: bytes | aiohttp.FormData | None = None,
    ) -> Reply:
        """Send one request and return its answer; raises Broken."""
        if isinstance(body, aiohttp.FormData):
            seconds = self.timeouts.upload_seconds
        else:
            size_bytes = len(body or b"")
            seconds = self.timeouts.json_seconds
            seconds += size_bytes / self.timeouts.upload_bytes_per_second
        async with self.open(
            method, path, headers=headers, params=params, body=body, seconds=seconds
        ) as response:
            try:
                content = await response.read()
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                raise Broken(reason(error)) from error
            return Reply(response.status, response.headers, content)

    @asynccontextmanager
    async def open(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str],
        params: list[tuple[str, str]] | None = None,
        body: bytes | aiohttp.FormData | None = None,
        seconds: float | None = None,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Open an answer whose body the caller reads; raises Broken until it has begun.

        Without *seconds* it may take as long as something moves.
        """
        times = aiohttp.ClientTimeout(
            total=seconds,
            connect=self.timeouts.connect_seconds,
            sock_read=self.timeouts.idle_seconds if seconds is None else None,
        )
        try:
            response = await self._opened().request(
                method,
                path if "://" in path else self._base + path,
                headers=headers,
                params=params,
                data=body,
                timeout=times,
                allow_redirects=False,
            )
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise Broken(reason(error)) from error
        async with response:
            yield response

    @asynccontextmanager
    async def websocket(self, url: str) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
        """Open a websocket; raises Broken until it is open."""
        try:
            async with asyncio.timeout(self.timeouts.json_seconds):
                socket = await self._opened().ws_connect(url, max_msg_size=4 * 1024 * 1024)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise Broken(reason(error)) from error
        async with socket:
            yield socket

    async def close(self) -> None:
        """Release the connections; a later call would open new ones."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:  # a session wants a running loop
            self._session = aiohttp.ClientSession(
                cookie_jar=aiohttp.DummyCookieJar(), read_bufsize=READ_BUFFER_BYTES
            )
        return self._session


def reason(error: BaseException) -> str:
    """Return why nothing came, in words; never with an address, which may be a secret."""
    if isinstance(error, aiohttp.ClientConnectorError):
        error = getattr(error, "certificate_error", None) or error.os_error
        said = getattr(error, "strerror", None) or type(error).__name__
        return recorded("no_connection", said=said)
    if isinstance(error, TimeoutError):
        return recorded("no_answer")
    if isinstance(error, aiohttp.ServerDisconnectedError):
        return recorded("connection_closed")
    return recorded("connection_broke", said=type(error).__name__)
