"""Servers of raw bytes on 127.0.0.1: one plays recordings word for word, one misbehaves as told."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

RECORDINGS = Path(__file__).parent / "recordings"
GENERATIONS = ("v0.3.64", "v0.33.0")


def recording(generation: str, name: str):
    """Return a recording: an exchange, or a list or dict of them."""
    return json.loads((RECORDINGS / generation / f"{name}.json").read_text(encoding="utf-8"))


def exchanges_in(recorded) -> Iterator[dict]:
    """Yield every exchange anywhere in *recorded*."""
    if isinstance(recorded, dict) and {"request", "status", "body"} <= recorded.keys():
        yield recorded
    elif isinstance(recorded, dict | list):
        for part in recorded.values() if isinstance(recorded, dict) else recorded:
            yield from exchanges_in(part)


@dataclass
class Request:
    """A request as it came over the wire."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    connection: int  # the how-manieth connection brought it

    @property
    def path(self) -> str:
        return urlsplit(self.target).path

    @property
    def query(self) -> dict[str, str]:
        return dict(parse_qsl(urlsplit(self.target).query))

    def json(self):
        return json.loads(self.body)


def answer(status: int, body: bytes = b"", headers: dict[str, str] | None = None) -> bytes:
    """Return the bytes of an HTTP answer; Content-Length is the body's unless given."""
    told = {"Content-Length": str(len(body))} | (headers or {})
    lines = [
        f"HTTP/1.1 {status} {HTTPStatus(status).phrase}",
        *(f"{k}: {v}" for k, v in told.items()),
    ]
    return "\r\n".join([*lines, "", ""]).encode() + body


def json_answer(body, status: int = 200) -> bytes:
    return answer(status, json.dumps(body).encode(), {"Content-Type": "application/json"})


#: What to write; None = drop the connection. Bytes that promise more than they hold end in a drop.
Answerer = Callable[[Request], Awaitable[bytes | None]]


@dataclass
class WireServer:
    """Reads requests, writes what *answerer* returns, remembers everything."""

    answerer: Answerer
    url: str = ""
    requests: list[Request] = field(default_factory=list)
    connections: int = 0
    drop_after_answer: bool = False

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        number = self.connections
        try:
            while (request := await self._request(reader, number)) is not None:
                self.requests.append(request)
                said = await self.answerer(request)
                if said is None:
                    return
                writer.write(said)
                await writer.drain()
                if self.drop_after_answer:
                    return
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _request(self, reader: asyncio.StreamReader, number: int) -> Request | None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        except asyncio.IncompleteReadError:
            return None
        method, target, _ = head[0].split(" ")
        headers = {k.lower(): v for k, _, v in (line.partition(": ") for line in head[1:] if line)}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        return Request(method, target, headers, body, number)


@asynccontextmanager
async def wire_server(answerer: Answerer, **options) -> AsyncIterator[WireServer]:
    server = WireServer(answerer, **options)
    handlers: set[asyncio.Task] = set()

    def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        handler = asyncio.get_running_loop().create_task(server.serve(reader, writer))
        handlers.add(handler)
        handler.add_done_callback(handlers.discard)

    listener = await asyncio.start_server(serve, "127.0.0.1", 0)
    server.url = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    try:
        yield server
    finally:
        listener.close()
        for handler in list(handlers):
            handler.cancel()
        await asyncio.gather(*handlers, return_exceptions=True)


class Replay:
    """Answers as recorded: by method and target, in the recorded order, the last one for ever."""

    def __init__(self, recorded: Iterable[dict]) -> None:
        self._left: dict[tuple, list[dict]] = {}
        for exchange in recorded:
            asked = exchange["request"]
            self._left.setdefault(self._key(asked["method"], asked["path"]), []).append(exchange)

    async def __call__(self, request: Request) -> bytes:
        left = self._left.get(self._key(request.method, request.target))
        if left is None:
            return answer(501)
        return _as_recorded(left.pop(0) if len(left) > 1 else left[0])

    @staticmethod
    def _key(method: str, target: str) -> tuple:
        parts = urlsplit(target)
        return (method, parts.path, frozenset(parse_qsl(parts.query)))


def replaying(*recorded):
    """Serve every exchange found in *recorded*."""
    return wire_server(Replay(exchanges_in(list(recorded))))


def _as_recorded(exchange: dict) -> bytes:
    body = exchange["body"]
    if isinstance(body, str):
        size = body.removeprefix("<").removesuffix(" bytes>")
        raw = bytes(i % 251 for i in range(int(size))) if size.isdecimal() else body.encode()
    else:
        raw = json.dumps(body).encode()
    headers = dict(exchange["headers"])
    if exchange["request"]["method"] != "HEAD":
        headers["Content-Length"] = str(len(raw))  # an install path was shortened in some bodies
    return answer(exchange["status"], raw, headers)
