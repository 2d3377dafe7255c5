"""News of changed Bitable records over a long connection: a hint to look, never the truth.

An app's connections share its events: each goes to one of them only, at least once, and formula
changes fire none. Whatever goes wrong here is logged once, and the looks go on as they would.
"""

import asyncio
from collections.abc import Awaitable, Callable
from urllib.parse import parse_qs, urlsplit

import aiohttp
import msgspec
import structlog

from daemon.feishu.client import Api, Client, Nothing
from daemon.feishu.errors import FeishuError
from daemon.feishu.frames import CONTROL, Frame, decode, encode
from daemon.feishu.wire import Broken

log = structlog.get_logger()

EVENT = "drive.file.bitable_record_changed_v1"
#: The loop looks up so often whether it is to stop.
_TURN_SECONDS = 2.0
#: Parts of messages that never became whole are forgotten beyond so many.
_MOST_PARTS = 100
_SUBSCRIBE = Api("push.subscribe", "POST", "/open-apis/drive/v1/files/{app}/subscribe")


class Changed(msgspec.Struct, frozen=True, kw_only=True):
    """A record was added, edited or deleted."""

    file_token: str
    table_id: str
    field_ids: frozenset[str] | None  # that were edited; None: the record came or went


class _Field(msgspec.Struct, frozen=True):
    field_id: str


class _Action(msgspec.Struct, frozen=True):
    action: str
    before_value: tuple[_Field, ...] = ()
    after_value: tuple[_Field, ...] = ()


class _Header(msgspec.Struct, frozen=True):
    event_type: str


class _Body(msgspec.Struct, frozen=True):
    file_token: str = ""
    table_id: str = ""
    action_list: tuple[_Action, ...] = ()


class _Event(msgspec.Struct, frozen=True):
    header: _Header
    event: _Body = _Body()


class Push:
    """Keeps one connection and calls *changed* for each piece of news.

    *documents* returns the app tokens to subscribe to, each time anew.
    """

    name = "feishu-push"

    def __init__(
        self,
        client: Client,
        documents: Callable[[], Awaitable[list[str]]],
        changed: Callable[[Changed], None],
    ) -> None:
        self._client = client
        self._documents = documents
        self._changed = changed
        self._parts: dict[str, dict[int, bytes]] = {}
        self._is_lost = False
        self._pause_seconds = 30.0

    async def run(self, stop: asyncio.Event) -> None:
        """Listen until *stop*, connecting again whenever that is needed."""
        while not stop.is_set():
            try:
                await self._listen(stop)
            except (FeishuError, Broken, aiohttp.ClientError, OSError, ValueError) as error:
                if not self._is_lost:
                    why = str(error) if isinstance(error, FeishuError) else type(error).__name__
                    log.warning("feishu.push_lost", error=why, hint="tables are looked at as ever")
                self._is_lost = True
            await self._client.clock.pause(self._pause_seconds, stop)

    async def _listen(self, stop: asyncio.Event) -> None:
        for app in await self._documents():
            params = [("file_type", "bitable")]
            await self._client.call(_SUBSCRIBE, Nothing, path={"app": app}, params=params)
        endpoint = await self._client.push_endpoint()
        self._pause_seconds = max(1.0, endpoint.config.reconnect_interval)
        service = int((parse_qs(urlsplit(endpoint.url).query).get("service_id") or ["0"])[0])
        async with self._client.websocket(endpoint.url) as socket:
            log.info("feishu.push_connected")
            self._is_lost = False
            ping = Frame(service=service, method=CONTROL, headers={"type": "ping"})
            next_ping = self._client.clock.monotonic()
            while not stop.is_set():
                if self._client.clock.monotonic() >= next_ping:
                    await socket.send_bytes(encode(ping))
                    next_ping = self._client.clock.monotonic() + endpoint.config.ping_interval
                try:
                    message = await socket.receive(timeout=_TURN_SECONDS)
                except TimeoutError:
                    continue
                if message.type is not aiohttp.WSMsgType.BINARY:
                    return  # closed, or nothing that we know
                await self._take(socket, decode(message.data))

    async def _take(self, socket: aiohttp.ClientWebSocketResponse, frame: Frame) -> None:
        """Acknowledge a message and tell what is in it, once all its parts are there."""
        if frame.method == CONTROL:
            return
        payload = self._whole(frame)
        if payload is None:
            return
        headers = {**frame.headers, "biz_rt": "0"}
        answer = msgspec.structs.replace(frame, headers=headers, payload=b'{"code":200}')
        await socket.send_bytes(encode(answer))
        try:
            event = msgspec.json.decode(payload, type=_Event)
        except msgspec.DecodeError:
            return  # an event of another kind, with another shape
        if event.header.event_type == EVENT:
            self._changed(_changed(event.event))

    def _whole(self, frame: Frame) -> bytes | None:
        total = int(frame.headers.get("sum") or 1)
        if total <= 1:
            return frame.payload
        message_id = frame.headers.get("message_id", "")
        parts = self._parts.setdefault(message_id, {})
        parts[int(frame.headers.get("seq") or 0)] = frame.payload
        if len(parts) < total:
            if len(self._parts) > _MOST_PARTS:
                del self._parts[next(iter(self._parts))]
            return None
        del self._parts[message_id]
        return b"".join(parts[seq] for seq in sorted(parts))


def _changed(body: _Body) -> Changed:
    edited = all(action.action == "record_edited" for action in body.action_list)
    fields = frozenset(
        field.field_id
        for action in body.action_list
        for field in (*action.before_value, *action.after_value)
    )
    return Changed(
        file_token=body.file_token,
        table_id=body.table_id,
        field_ids=fields if edited and fields else None,
    )
