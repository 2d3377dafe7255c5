"""The fake as a whole: a real HTTP server on a free loopback port."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

from aiohttp import web

from daemon.clock import Clock, SystemClock
from daemon.feishu.webhook import sign
from tests.fakes.feishu.bitable import Base, BitableDoor, Column
from tests.fakes.feishu.desk import Called, Desk, Refusal, json_of, success, want
from tests.fakes.feishu.drive import Drive
from tests.fakes.feishu.sheets import Book, SheetsDoor


@dataclass
class Node:
    kind: str
    token: str


class FakeFeishu(Desk):
    """Start with ``async with``; ``fail`` orders failures, ``calls`` tells what came in."""

    def __init__(self, clock: Clock | None = None) -> None:
        super().__init__(clock or SystemClock())
        self.drive = Drive(self)
        self.bitable = BitableDoor(self, self.drive)
        self.sheets = SheetsDoor(self, self.drive)
        self.nodes: dict[str, Node] = {}
        self.hook_secret = ""
        self.hook_keyword = ""
        self.texts: list[str] = []  # what the bot said
        self.text_at: list[float] = []
        self.url = ""
        self._runner: web.AppRunner | None = None

    def base(self, columns: Sequence[Column]) -> Base:
        return self.bitable.new(columns)

    def book(self) -> Book:
        return self.sheets.new()

    def wiki(self, kind: str, token: str) -> str:
        """Return a wiki node that leads to a document."""
        node = f"wik{len(self.nodes)}"
        self.nodes[node] = Node(kind, token)
        return node

    @property
    def hook(self) -> str:
        """The address of the bot."""
        return f"{self.url}/open-apis/bot/v2/hook/hook-address-secret"

    async def start(self, port: int = 0) -> None:
        app = web.Application(client_max_size=256 * 1024 * 1024)
        own = {
            "wiki.get_node": ("GET", "/open-apis/wiki/v2/spaces/get_node", self._wiki),
            "auth.token": (
                "POST",
                "/open-apis/auth/v3/tenant_access_token/internal",
                self._token,
            ),
            "bot.send": ("POST", "/open-apis/bot/v2/hook/hook-address-secret", self._hook),
        }
        routes = {
            **own,
            **self.bitable.routes(),
            **self.sheets.routes(),
            **self.drive.routes(),
        }
        for name, (method, path, act) in routes.items():
            app.router.add_route(method, path, self._door(name, act))
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", port)
        await site.start()
        assert site._server is not None
        host, bound = site._server.sockets[0].getsockname()[:2]
        self.url = f"http://{host}:{bound}"

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    def _door(self, name: str, act: Any) -> Any:
        async def handle(request: web.Request) -> web.StreamResponse:
            called = Called(name, query=dict(request.query))
            self.calls.append(called)
            order = self.order_for(name)
            if order is not None and not order.after:
                response = self._ordered(request, order)
            else:
                response = await self._answered(name, act, request, called)
                if order is not None:
                    response = self._ordered(request, order)
            called.status = response.status
            response.headers["X-Tt-Logid"] = f"log-{len(self.calls)}"
            return response

        return handle

    def _ordered(self, request: web.Request, order: Any) -> web.Response:
        if order.drops:
            assert request.transport is not None
            request.transport.close()
            return web.Response(status=500)
        if order.body is not None:
            return web.Response(
                status=order.status,
                body=order.body,
                headers=order.headers,
                content_type="text/html",
            )
        document = {"code": order.code, "msg": f"ordered {order.code}"}
        return web.json_response(document, status=order.status, headers=order.headers)

    async def _answered(
        self, name: str, act: Any, request: web.Request, called: Called
    ) -> web.StreamResponse:
        is_media = name.startswith("media.")
        try:
            if name not in ("auth.token", "bot.send"):
                self.check_token(request)
            if is_media:
                self.media_begins()
            try:
                response: web.StreamResponse = await act(request)
            finally:
                if is_media:
                    self.media_ends()
            called.code = 0
        except Refusal as refusal:
            called.code = refusal.code
            document = {"code": refusal.code, "msg": refusal.msg, **refusal.extra}
            response = web.json_response(document, status=refusal.status)
        except web.HTTPException as error:
            response = web.Response(status=error.status)
        return response

    async def _token(self, request: web.Request) -> web.Response:
        body = await json_of(request)
        want(body, "app_id", "app_secret")
        if body["app_id"] != self.app_id:
            raise Refusal(10003, "invalid param")
        if body["app_secret"] != self.app_secret:
            raise Refusal(10014, "app secret invalid")
        return web.json_response({"code": 0, "msg": "ok", **self.new_token()})

    async def _wiki(self, request: web.Request) -> web.Response:
        node = self.nodes.get(request.query.get("token", ""))
        if node is None:
            raise Refusal(91402, "NOTEXIST", 404)
        return success({"node": {"obj_type": node.kind, "obj_token": node.token}})

    async def _hook(self, request: web.Request) -> web.Response:
        body = await json_of(request)
        want(body, "msg_type", "content", optional=("timestamp", "sign"))
        text = body["content"]["text"]
        if self.hook_secret:
            at = int(body.get("timestamp", "0"))
            skew = abs(self.clock.now().timestamp() - at)
            if body.get("sign") != sign(at, self.hook_secret) or skew > 3600:
                raise Refusal(19021, "sign match fail or timestamp is not within one hour")
        if self.hook_keyword not in text:
            raise Refusal(19024, "Key Words Not Found")
        self.texts.append(text)
        self.text_at.append(self.clock.monotonic())
        answer = {"code": 0, "msg": "success", "data": {}}
        return web.json_response({**answer, "StatusCode": 0, "StatusMessage": "success"})
