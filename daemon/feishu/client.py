"""One call to Feishu, whatever it takes: token, what a failure means, tries and pauses."""

import asyncio
import random as dice
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from http import HTTPStatus
from typing import NoReturn, TypeAlias, TypeVar
from urllib.parse import quote

import aiohttp
import msgspec
import structlog

from daemon.clock import Clock
from daemon.feishu.envelope import Envelope, no_answer, opened, refuse_bytes
from daemon.feishu.errors import FeishuError, Reaction
from daemon.feishu.limits import Limits
from daemon.feishu.quota import Quota
from daemon.feishu.token import TokenSource
from daemon.feishu.wire import Broken, Reply, Timeouts, Wire
from daemon.words.recorded import recorded

log = structlog.get_logger()

T = TypeVar("T")

FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.5, 30.0
#: Decoding more than this would hold the loop for some milliseconds.
LARGE_BYTES = 256 * 1024
_SHOWN_BYTES = 64 * 1024

#: JSON that is sent as it is, or something that makes a new form for each try.
Body: TypeAlias = bytes | Callable[[], aiohttp.FormData] | None
Params: TypeAlias = list[tuple[str, str]]


class Api(msgspec.Struct, frozen=True):
    """A kind of call; *path* has its document and ids in braces, so that logs can name it."""

    name: str
    method: str
    path: str
    is_media: bool = False

    def filled(self, values: Mapping[str, str]) -> str:
        """Return the path with its placeholders filled."""
        safe = {name: quote(value, safe="!:,") for name, value in values.items()}
        return self.path.format_map(safe)


class PushConfig(msgspec.Struct, frozen=True, rename="pascal"):
    """How the gateway wants its connections; seconds."""

    reconnect_interval: float = 120.0
    ping_interval: float = 120.0


class PushEndpoint(msgspec.Struct, frozen=True):
    """Where to connect for news; the address is a secret."""

    url: str = msgspec.field(name="URL")
    config: PushConfig = msgspec.field(name="ClientConfig", default_factory=PushConfig)


class Nothing(msgspec.Struct, frozen=True):
    """For answers of which only success counts."""


_TOKEN = Api("auth.token", "POST", "/open-apis/auth/v3/tenant_access_token/internal")
_PUSH = Api("push.endpoint", "POST", "/callback/ws/endpoint")
_JSON = {"Content-Type": "application/json; charset=utf-8"}


class Client:
    """One self-built app at one address. All tables of a daemon share it."""

    def __init__(
        self,
        *,
        base_url: str,
        app_id: str,
        app_secret: str,
        clock: Clock,
        quota: Quota,
        timeouts: Timeouts | None = None,
        random: Callable[[], float] = dice.random,
    ) -> None:
        self.clock = clock
        self.limits = Limits(clock)
        self.quota = quota
        self._app_id = app_id
        self._app_secret = app_secret
        self._wire = Wire(base_url, timeouts)
        self._random = random
        self._tokens = TokenSource(self._fetch_token, clock)

    async def call(
        self,
        api: Api,
        kind: type[T],
        *,
        path: Mapping[str, str] | None = None,
        params: Params | None = None,
        body: Body = None,
    ) -> T:
        """Send a call until it succeeds and return its ``data``; raises FeishuError.

        It may arrive more than once, so it must do no harm the second time.
        """
        envelope = await self.tried(lambda: self._send(api, path or {}, params, body))
        try:
            if len(bytes(envelope.data)) > LARGE_BYTES:
                return await asyncio.to_thread(msgspec.json.decode, envelope.data, type=kind)
            return msgspec.json.decode(envelope.data, type=kind)
        except msgspec.DecodeError as error:
            said = recorded("other_shape", said=error)
            raise FeishuError(Reaction.UNKNOWN, "shape", call=api.name, said=said) from error

    async def tried(self, attempt: Callable[[], Awaitable[T]]) -> T:
        """Return what *attempt* returns, tried as often as its FeishuErrors allow.

        A refused token does not count as a try the first time: the next try has a new one.
        """
        tries, has_new_token = 1, False
        while True:
            try:
                return await attempt()
            except FeishuError as error:
                if error.reaction is Reaction.TOKEN_BAD and not has_new_token:
                    has_new_token = True
                    continue
                if error.reaction is Reaction.TOKEN_BAD or tries >= error.tries:
                    raise
                pause_seconds = self._pause_seconds(error, tries)
                log.info(
                    "feishu.call_tried_again",
                    call=error.call,
                    code=error.code,
                    about=error.about,
                    log_id=error.log_id,
                    after_seconds=round(pause_seconds, 1),
                )
                await self.clock.pause(pause_seconds)
                tries += 1

    @asynccontextmanager
    async def bytes_of(
        self,
        api: Api,
        *,
        path: Mapping[str, str],
        params: Params | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Open an answer of bytes, of status 200 or 206, once; raises FeishuError.

        What breaks while the caller reads becomes a FeishuError here, too.
        """
        self.quota.check(api.name)
        token = await self._tokens.token()
        sent = {"Authorization": f"Bearer {token}", **(headers or {})}
        try:
            async with (
                self._turn(api),
                self._wire.open(
                    api.method, api.filled(path), headers=sent, params=params
                ) as response,
            ):
                if response.status not in {HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT}:
                    content = await response.content.read(_SHOWN_BYTES)
                    reply = Reply(response.status, response.headers, content)
                    await self._refuse(api, reply, token)
                await self.quota.count()
                yield response
        except Broken as error:
            raise no_answer(api.name, str(error)) from error

    async def push_endpoint(self) -> PushEndpoint:
        """Return where news are to be had; raises FeishuError."""
        body = msgspec.json.encode({"AppID": self._app_id, "AppSecret": self._app_secret})
        reply = await self._answer(_PUSH, {}, None, body, {"locale": "zh"})
        envelope = opened(reply, _PUSH.name, self._secrets())
        return msgspec.json.decode(envelope.data, type=PushEndpoint)

    def websocket(self, url: str) -> AbstractAsyncContextManager[aiohttp.ClientWebSocketResponse]:
        """Open the connection for news at *url*; raises Broken, without the address."""
        return self._wire.websocket(url)

    async def close(self) -> None:
        """Release the connections and write down how many calls there were."""
        await self._wire.close()
        await self.quota.close()

    async def _send(
        self, api: Api, path: Mapping[str, str], params: Params | None, body: Body
    ) -> Envelope:
        """Send a call once."""
        self.quota.check(api.name)
        token = await self._tokens.token()
        headers = {"Authorization": f"Bearer {token}"}
        async with self._turn(api):
            reply = await self._answer(api, path, params, body, headers)
        try:
            envelope = opened(reply, api.name, self._secrets())
        except FeishuError as error:
            await self._note(error, token)
            raise
        await self.quota.count()
        return envelope

    async def _answer(
        self,
        api: Api,
        path: Mapping[str, str],
        params: Params | None,
        body: Body,
        headers: Mapping[str, str],
    ) -> Reply:
        content = body() if callable(body) else body
        if not isinstance(content, aiohttp.FormData):
            headers = {**_JSON, **headers}
        try:
            return await self._wire.send(
                api.method, api.filled(path), headers=headers, params=params, body=content
            )
        except Broken as error:
            raise no_answer(api.name, str(error)) from error

    async def _refuse(self, api: Api, reply: Reply, token: str) -> NoReturn:
        try:
            refuse_bytes(reply, api.name, self._secrets())
        except FeishuError as error:
            await self._note(error, token)
            raise

    async def _note(self, error: FeishuError, token: str) -> None:
        """Draw the consequences that concern all calls, not only this one."""
        log.debug(
            "feishu.call_failed",
            call=error.call,
            code=error.code,
            reaction=error.reaction.value,
            said=error.said,
            log_id=error.log_id,
        )
        if error.reaction is Reaction.TOKEN_BAD:
            self._tokens.drop(token)
        elif error.reaction is Reaction.QUOTA:
            await self.quota.pause("feishu")

    async def _fetch_token(self) -> tuple[str, float]:
        body = msgspec.json.encode({"app_id": self._app_id, "app_secret": self._app_secret})

        async def fetch() -> tuple[str, float]:
            reply = await self._answer(_TOKEN, {}, None, body, {})
            envelope = opened(reply, _TOKEN.name, self._secrets())
            if not envelope.tenant_access_token:
                raise no_answer(_TOKEN.name, recorded("no_token"))
            return envelope.tenant_access_token, envelope.expire

        return await self.tried(fetch)

    def _turn(self, api: Api) -> AbstractAsyncContextManager[None]:
        return self.limits.media_call(api.name) if api.is_media else nullcontext()

    def _secrets(self) -> tuple[str, ...]:
        return (self._app_secret, self._tokens.current)

    def _pause_seconds(self, error: FeishuError, tries: int) -> float:
        """Return how long to wait after failed try number *tries*; with jitter, never in step."""
        if error.wait_seconds is not None:
            return error.wait_seconds + self._random()
        pause_seconds = min(FIRST_PAUSE_SECONDS * 2.0**tries, LONGEST_PAUSE_SECONDS)
        return pause_seconds * (0.5 + self._random())
