"""Opens the connection of its own that each change is sent on."""

import ipaddress
from functools import cache

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.tracing import Trace


class OneEach(aiohttp.TCPConnector):
    """Gives each request a new connection, closed after its answer.

    To a plain address the loop connects by itself. aiohttp would make a socket, wait until it is
    connected, and only then hand it to the loop: twice the time, a seventh of a whole post. Names
    are looked up, and TLS is begun, by aiohttp as ever.
    """

    def __init__(self) -> None:
        super().__init__(limit=0, force_close=True)

    async def _create_connection(
        self,
        req: aiohttp.ClientRequest,
        traces: list[Trace],
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109 - aiohttp's own
    ) -> ResponseHandler:
        host, port = req.url.raw_host, req.port
        if host is None or port is None or req.is_ssl() or req.proxy or not _is_address(host):
            return await super()._create_connection(req, traces, timeout)
        try:
            _, protocol = await self._loop.create_connection(self._factory, host, port)
        except OSError as error:
            raise aiohttp.ClientConnectorError(req.connection_key, error) from error
        return protocol


@cache  # a daemon has few servers
def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
