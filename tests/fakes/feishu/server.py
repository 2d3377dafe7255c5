"""The fake as a whole: a real HTTP server on a free loopback port."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

from aiohttp import web

from daemon.clock import Clock, SystemClock
from daemon.comfy.simulator.listening import Listening
from daemon.feishu.frames import Frame, decode, encode
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
        self.subscribed: set[str] = set()
        self.sockets: list[web.WebSocketResponse] = []
        self.frames: list[Frame] = []  # what came over the long connection
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
            "push.endpoint": ("POST", "/callback/ws/endpoint", self._endpoint),
            "push.subscribe": (
                "POST",
                "/open-apis/drive/v1/files/{app}/subscribe",
                self._subscribe,
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
        app.router.add_get("/ws", self._socket)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        self._listening = Listening(self._runner)
        self.url = f"http://127.0.0.1:{await self._listening.open('127.0.0.1', port)}"

    async def stop(self) -> None:
        for socket in self.sockets:
            await socket.close()
        if self._runner is not None:
            await self._listening.close()
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
            self.let_act(name)
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
            if name not in ("auth.token", "bot.send", "push.endpoint"):
                self.check_token(request)
            if is_media:
                self.media_begins(name)
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

    async def _endpoint(self, request: web.Request) -> web.Response:
        body = await json_of(request)
        want(body, "AppID", "AppSecret")
        if (body["AppID"], body["AppSecret"]) != (self.app_id, self.app_secret):
            raise Refusal(514, "auth failed")
        url = f"{self.url.replace('http', 'ws')}/ws?service_id=7&ticket=secret-of-the-gateway"
        config = {"ReconnectCount": -1, "ReconnectInterval": 1, "ReconnectNonce": 1}
        return success({"URL": url, "ClientConfig": {**config, "PingInterval": 120}})

    async def _subscribe(self, request: web.Request) -> web.Response:
        base = self.bitable.bases.get(request.match_info["app"])
        if base is None or not base.may_manage:
            raise Refusal(1069603, "forbidden", 403)
        self.subscribed.add(base.app)
        return success()

    async def _socket(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        self.sockets.append(socket)
        async for message in socket:
            self.frames.append(decode(message.data))
        return socket

    async def push(self, base: Base, action: str, field_ids: Sequence[str], parts: int = 1) -> None:
        """Send the event of one changed record over the newest connection."""
        values = [{"field_id": each, "field_value": '"x"'} for each in field_ids]
        change = {"record_id": "rec1", "action": action, "after_value": values}
        event = {
            "schema": "2.0",
            "header": {"event_id": "5e37", "event_type": "drive.file.bitable_record_changed_v1"},
            "event": {
                "file_type": "bitable",
                "file_token": base.app,
                "table_id": base.table,
                "action_list": [change],
            },
        }
        content = json.dumps(event).encode()
        size = -(-len(content) // parts)
        for seq in range(parts):
            headers = {"type": "event", "message_id": "m1", "sum": str(parts), "seq": str(seq)}
            part = content[seq * size : (seq + 1) * size]
            frame = Frame(seq_id=1, log_id=2, service=7, headers=headers, payload=part)
            await self.sockets[-1].send_bytes(encode(frame))

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
