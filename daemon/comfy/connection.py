"""One server over HTTP: every failure of the wire becomes Unreachable or AnswerLost here.

Reads may be repeated by anybody at any time, so whatever goes wrong with one is Unreachable.
Changes are sent exactly once, each on a connection of its own: a kept-alive one that died in the
meantime would leave open whether the server got the request.
"""

import asyncio
from collections.abc import Mapping
from http import HTTPStatus
from types import SimpleNamespace
from typing import TypeVar

import aiohttp
import msgspec
from yarl import URL

from daemon.comfy.connector import OneEach
from daemon.comfy.messages import NotQuiteJson, decoded, mended
from daemon.comfy.server import AnswerLost, Unreachable
from daemon.comfy.wording import cleaned
from daemon.words.recorded import recorded
from daemon.words.retelling import of_system

T = TypeVar("T")

#: The reader's buffer: with aiohttp's default of 64 KiB a large file costs a wake-up per 64 KiB.
READ_BUFFER_BYTES = 2 * 1024 * 1024
#: Answers that come from a proxy or from another program at this address: ComfyUI itself never
#: gives them to what we send, so nothing was carried out.
_TURNED_AWAY = frozenset({401, 403, 404, 405, 407, 421, 429})


class Timeouts(msgspec.Struct, frozen=True, kw_only=True):
    """How long each kind of call may take."""

    connect_seconds: float = 10.0  # name look-up, TCP and TLS together; a live host needs < 1 s
    read_seconds: float = 30.0  # ComfyUI's loop stalls for seconds while a custom node loads
    node_classes_seconds: float = 120.0  # /object_info lists every model folder, on slow disks too
    submit_seconds: float = 60.0  # validation runs custom code; too short makes doubtful answers
    change_seconds: float = 30.0  # delete, interrupt, cancel, free
    upload_seconds: float = 60.0  # plus the time the bytes need
    upload_bytes_per_second: float = 128 * 1024.0  # slower than this is as good as dead
    idle_seconds: float = 60.0  # a download in which nothing arrives so long has ended
    websocket_heartbeat_seconds: float = 60.0  # its loop may stall for half of this unharmed
    websocket_close_seconds: float = 2.0  # a farewell nobody answers must not hold up a stop


class Answer(msgspec.Struct, frozen=True):
    """What a server answered to a change; never a 5xx."""

    status: int
    body: bytes

    @property
    def turned_away(self) -> bool:
        """Whether something before ComfyUI answered, so that nothing was carried out."""
        return (
            self.status in _TURNED_AWAY or self.status // 100 == HTTPStatus.MULTIPLE_CHOICES // 100
        )


class Connection:
    """The wire to one server. ``outages`` counts how often a call found it unreachable."""

    def __init__(self, name: str, url: str, headers: Mapping[str, str], timeouts: Timeouts) -> None:
        self.name = name
        self.timeouts = timeouts
        self.outages = 0
        self._shown = str(URL(url).with_user(None)).rstrip("/")  # a password never reaches a log
        self._headers = dict(headers)
        has_own_login = any(header.lower() == "authorization" for header in headers)
        self._base = self._shown if has_own_login else url.rstrip("/")  # aiohttp takes one of them
        self._reading: aiohttp.ClientSession | None = None
        self._changing: aiohttp.ClientSession | None = None
        self._listening: aiohttp.ClientSession | None = None

    async def read(
        self, path: str, decoder: msgspec.json.Decoder[T], *, seconds: float | None = None
    ) -> T:
        """Return the JSON at *path* as *decoder* reads it; raises Unreachable for anything else."""
        body = await self._read_bytes(path, seconds or self.timeouts.read_seconds)
        try:
            try:
                return decoded(body, decoder)
            except NotQuiteJson:
                return decoded(await asyncio.to_thread(mended, body), decoder)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise self.unreachable(recorded("not_as_comfyui", path=path, said=error)) from error

    async def _read_bytes(self, path: str, seconds: float) -> bytes:
        total = aiohttp.ClientTimeout(total=seconds, connect=self.timeouts.connect_seconds)
        async with await self.response("GET", path, timeout=total) as response:
            if response.status != HTTPStatus.OK:
                raise self.unreachable(answered(path, response.status))
            try:
                return await response.read()
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                raise self.unreachable(reason(error)) from error

    async def response(
        self,
        method: str,
        path: str,
        *,
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109 - aiohttp's own, in parts
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> aiohttp.ClientResponse:
        """Return the answer to a read, of any status below 500, to be closed; raises Unreachable.

        What goes wrong while its body is read is the caller's to translate.
        """
        try:
            response = await self._read_session().request(
                method,
                self._base + path,
                params=params,
                headers=headers,
                timeout=timeout,
                allow_redirects=False,
            )
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise self.unreachable(reason(error)) from error
        if response.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            response.release()
            raise self.unreachable(answered(path, response.status))
        return response

    async def change(
        self, path: str, body: bytes | aiohttp.FormData | None, *, seconds: float
    ) -> Answer:
        """POST *body* once and return the answer, if it is below 500.

        Raises Unreachable when surely nothing was sent, AnswerLost when that cannot be known.
        """
        kind = {"Content-Type": "application/json"} if isinstance(body, bytes) else None
        times = aiohttp.ClientTimeout(total=seconds, connect=self.timeouts.connect_seconds)
        try:
            async with self._change_session().post(
                self._base + path, data=body, headers=kind, timeout=times, allow_redirects=False
            ) as response:
                answer = Answer(response.status, await response.read())
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            raise self.unreachable(reason(error)) from error
        except aiohttp.InvalidURL as error:
            raise self.unreachable(recorded("no_address")) from error
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise self.answer_lost(path, reason(error)) from error
        if (
            answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR
            or answer.status == HTTPStatus.REQUEST_TIMEOUT
        ):
            raise self.answer_lost(path, recorded("answered", status=answer.status))
        return answer

    async def open_websocket(
        self, path: str, params: Mapping[str, str], max_bytes: int
    ) -> aiohttp.ClientWebSocketResponse:
        """Open a push connection; raises Unreachable."""
        try:
            async with asyncio.timeout(self.timeouts.read_seconds):
                return await self._listen_session().ws_connect(
                    self._base + path,
                    params=params,
                    heartbeat=self.timeouts.websocket_heartbeat_seconds,
                    max_msg_size=max_bytes,
                )
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise self.unreachable(reason(error)) from error

    def unreachable(self, why: str) -> Unreachable:
        """Count an outage and return the error to raise."""
        self.outages += 1
        told = recorded("unreachable", server=self.name, url=self._shown, why=why)
        return Unreachable(told)

    def answer_lost(self, path: str, why: str) -> AnswerLost:
        """Count an outage and return the error to raise."""
        self.outages += 1
        return AnswerLost(recorded("answer_lost", server=self.name, path=path, why=why))

    async def close(self) -> None:
        """Release the connections; a later call would open new ones."""
        sessions = (self._reading, self._changing, self._listening)
        self._reading = self._changing = self._listening = None
        for session in sessions:
            if session is not None:
                await session.close()

    def _read_session(self) -> aiohttp.ClientSession:
        # Made at the first call: a session wants a running loop. No limit on connections, for
        # the callers are bounded and a download must not keep the queue from being read.
        if self._reading is None:
            self._reading = self._session(aiohttp.TCPConnector(limit=0))
        return self._reading

    def _change_session(self) -> aiohttp.ClientSession:
        if self._changing is None:
            self._changing = self._session(OneEach())
        return self._changing

    def _listen_session(self) -> aiohttp.ClientSession:
        if self._listening is None:  # apart: following each request costs a tenth of it
            no_redirects = aiohttp.TraceConfig()
            no_redirects.on_request_redirect.append(_refuse_redirect)  # ws_connect follows them
            self._listening = self._session(aiohttp.TCPConnector(limit=0), no_redirects)
        return self._listening

    def _session(
        self, connector: aiohttp.TCPConnector, *traces: aiohttp.TraceConfig
    ) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(
            connector=connector,
            headers=self._headers,
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None, connect=self.timeouts.connect_seconds),
            read_bufsize=READ_BUFFER_BYTES,
            trace_configs=list(traces),
        )


async def _refuse_redirect(
    _session: aiohttp.ClientSession,
    _context: SimpleNamespace,
    params: aiohttp.TraceRequestRedirectParams,
) -> None:
    raise aiohttp.ClientError(recorded("redirect", status=params.response.status))


def answered(path: str, status: int) -> str:
    """Return that the answer was none of ComfyUI's."""
    return recorded("path_answered", path=path, status=status)


def reason(error: BaseException) -> str:
    """Return why a call failed, in words; never with a header's value."""
    if isinstance(error, aiohttp.ClientConnectorError):
        error = getattr(error, "certificate_error", None) or error.os_error
    if isinstance(error, aiohttp.WSServerHandshakeError):
        return recorded("no_websocket", status=error.status)
    if isinstance(error, aiohttp.ClientResponseError):
        return recorded("no_http")
    if isinstance(error, TimeoutError):
        return recorded("no_answer")
    if isinstance(error, aiohttp.ServerDisconnectedError):
        return recorded("closed")
    said = of_system(error) if isinstance(error, OSError) else str(error)
    return cleaned(said, 200) or type(error).__name__
