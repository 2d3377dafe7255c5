"""What every part of the fake shares: the log of calls, failures on order, answers."""

import asyncio
import json
import secrets
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from daemon.clock import Clock


class Refusal(Exception):
    """Answer with an error code; by default with HTTP 200, as most documented errors come."""

    def __init__(self, code: int, msg: str = "", status: int = 200, **extra: Any) -> None:
        self.code, self.msg, self.status, self.extra = code, msg or f"code {code}", status, extra
        super().__init__(self.msg)


@dataclass
class Order:
    """A failure to come: an error code, or a body that is no JSON at all, or no answer."""

    code: int | None
    status: int
    headers: Mapping[str, str]
    body: bytes | None
    left: int
    drops: bool = False  # the connection is closed instead
    after: bool = False  # the call is carried out first


@dataclass
class Called:
    """One call that came in."""

    name: str
    code: int | None = None
    status: int = 0
    body: Any = None
    query: dict[str, str] = field(default_factory=dict)


class Desk:
    """The rules of the house: who may call, what goes wrong on order, what was called."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.calls: list[Called] = []
        self.app_id, self.app_secret = "cli_fake", "secret-of-the-app"
        self.token_seconds = 7200
        self.tokens: dict[str, float] = {}  # token -> end
        self._orders: dict[str, list[Order]] = {}
        self._meanwhile: dict[str, Callable[[], None]] = {}
        self._writing: set[str] = set()
        self.write_seconds = 0.0
        self._media_busy = False
        #: Whether five calls a second are all that files get, or each kind of call; either is read
        #: from Feishu's pages.
        self.counts_media_together = False
        self._media_at: dict[str, list[float]] = {}

    # what a test says

    def fail(
        self,
        name: str,
        code: int | None = None,
        *,
        times: int = 1,
        status: int = 200,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        drops: bool = False,
        after: bool = False,
    ) -> None:
        """Let the next *times* calls of this name end so, instead of or (*after*) in spite of success."""
        order = Order(code, status, headers or {}, body, times, drops, after)
        self._orders.setdefault(name, []).append(order)

    def meanwhile(self, name: str, act: Callable[[], None]) -> None:
        """Let a person *act* as the next call of this name comes in, before it is carried out."""
        self._meanwhile[name] = act

    def mend(self) -> None:
        """Forget all orders."""
        self._orders.clear()

    def expire_tokens(self) -> None:
        self.tokens.clear()

    def count(self, name: str) -> int:
        return sum(call.name == name for call in self.calls)

    def names(self) -> Counter[str]:
        return Counter(call.name for call in self.calls)

    # what the parts use

    def order_for(self, name: str) -> Order | None:
        for key in (name, "*"):
            for order in self._orders.get(key, []):
                if order.left > 0:
                    order.left -= 1
                    return order
        return None

    def let_act(self, name: str) -> None:
        if (act := self._meanwhile.pop(name, None)) is not None:
            act()

    def new_token(self) -> dict[str, Any]:
        now = self.clock.monotonic()
        alive = [(end, token) for token, end in self.tokens.items() if end - now >= 1800]
        if alive:
            end, token = max(alive)
        else:
            token, end = f"t-{secrets.token_hex(8)}", now + self.token_seconds
            self.tokens[token] = end
        return {"tenant_access_token": token, "expire": int(end - now)}

    def check_token(self, request: web.Request) -> None:
        kind, _, token = request.headers.get("Authorization", "").partition(" ")
        if kind != "Bearer" or not token:
            raise Refusal(99991661, "Missing access token for authorization", 400)
        if not token.startswith(("t-", "u-")):
            raise Refusal(99991671, "Invalid access token", 400)
        if self.tokens.get(token, 0) <= self.clock.monotonic():
            raise Refusal(99991663, "Invalid access token for authorization", 400)

    async def writing(self, document: str, conflict: int) -> None:
        """Refuse two writes to one document at once; a write takes ``write_seconds``."""
        if document in self._writing:
            raise Refusal(conflict, "WriteConflict")
        self._writing.add(document)
        try:
            await asyncio.sleep(self.write_seconds)
        finally:
            self._writing.discard(document)

    def media_begins(self, name: str) -> None:
        """Refuse files side by side, and more than five calls a second."""
        now, kind = self.clock.monotonic(), "" if self.counts_media_together else name
        recent = [at for at in self._media_at.get(kind, []) if now - at < 1.0]
        self._media_at[kind] = recent
        if self._media_busy or len(recent) >= 5:
            raise Refusal(1061045, "resource contention occurred, please retry", 400)
        recent.append(now)
        self._media_busy = True

    def media_ends(self) -> None:
        self._media_busy = False


def success(data: Any = None) -> web.Response:
    return web.json_response({"code": 0, "msg": "success", "data": {} if data is None else data})


def want(body: Any, *required: str, optional: tuple[str, ...] = ()) -> None:
    """Refuse a body that lacks a field, or has one nobody documented."""
    if not isinstance(body, dict):
        raise Refusal(9499, "Bad Request", 400)
    unknown = set(body) - set(required) - set(optional)
    missing = set(required) - set(body)
    if unknown or missing:
        raise Refusal(9499, f"Bad Request: unknown {unknown}, missing {missing}", 400)


async def json_of(request: web.Request) -> Any:
    kind = request.headers.get("Content-Type", "")
    if not kind.startswith("application/json"):
        raise Refusal(9499, f"Bad Request: Content-Type {kind}", 400)
    try:
        return json.loads(await request.read())
    except ValueError as error:
        raise Refusal(9499, "Bad Request: no JSON", 400) from error
