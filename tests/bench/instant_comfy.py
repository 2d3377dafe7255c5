"""A ComfyUI that takes no time at all, in a process of its own.

``python -m tests.bench.instant_comfy PICTURE`` serves until it is killed; its first line says where.
A prompt has ended when its POST is answered, and every file is PICTURE. The simulator really makes
pictures and costs more than what is measured here, so it would be the bottleneck; so would a web
framework, hence HTTP by hand: whole requests of well-behaved clients only.
"""

import asyncio
import base64
import hashlib
import re
import sys
from collections import Counter
from contextlib import AbstractContextManager
from pathlib import Path
from time import time
from typing import cast
from urllib.parse import parse_qs, urlsplit

import orjson

from tests.bench.own_process import own_process

_CONTENT_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_WEBSOCKET_KEY = re.compile(rb"\r\nsec-websocket-key: *(\S+)", re.IGNORECASE)
_WEBSOCKET_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_CLASSES = {
    "EmptyImage": {"input": {"required": {}}, "output_node": False, "python_module": "nodes"},
    "SaveImage": {"input": {"required": {}}, "output_node": True, "python_module": "nodes"},
}
_STATS = {"system": {"comfyui_version": "0.33.0"}, "devices": []}


class Comfy:
    """What has been run, who listens, and how often it was asked for what."""

    def __init__(self, picture: bytes) -> None:
        self._picture = picture
        self._history: dict[str, bytes] = {}
        self._listeners: dict[str, asyncio.Transport] = {}
        self._asked: Counter[str] = Counter()

    def answer(self, method: str, target: str, body: bytes) -> tuple[str, bytes]:
        """Return the content type and body that answer a request."""
        path = target.partition("?")[0]
        self._asked[f"{method} {path.split('/')[1]}"] += 1
        if path == "/prompt":
            return "application/json", self._run(orjson.loads(body))
        if path.startswith("/history/"):
            return "application/json", self._history.get(path.removeprefix("/history/"), b"{}")
        if path == "/view":
            return "image/png", self._picture
        plain = {
            "/queue": {"queue_running": [], "queue_pending": []},
            "/system_stats": _STATS,
            "/object_info": _CLASSES,
            "/asked": self._asked,
        }
        return "application/json", orjson.dumps(plain[path])

    def listen(self, client_id: str, transport: asyncio.Transport) -> None:
        """Tell the transport of the client's prompts from now on."""
        self._listeners[client_id] = transport

    def _run(self, request: dict) -> bytes:
        prompt_id, client_id = request["prompt_id"], request["client_id"]
        prefix = request["prompt"]["40"]["inputs"]["filename_prefix"]
        folder, _, stem = prefix.rpartition("/")
        file = {"filename": f"{stem}_00001_.png", "subfolder": folder, "type": "output"}
        at = {"prompt_id": prompt_id, "timestamp": int(time() * 1000)}
        status = {
            "status_str": "success",
            "completed": True,
            "messages": [["execution_start", at], ["execution_success", at]],
        }
        entry = {
            "prompt": [0, prompt_id, request["prompt"], request["extra_data"], ["40"]],
            "outputs": {"40": {"images": [file]}},
            "status": status,
        }
        self._history[prompt_id] = orjson.dumps({prompt_id: entry})
        if (listener := self._listeners.get(client_id)) is not None:
            listener.write(_frame("execution_start", at))
            listener.write(_frame("executing", {"node": None, "prompt_id": prompt_id}))
        return orjson.dumps({"prompt_id": prompt_id, "number": 0, "node_errors": {}})


class Wire(asyncio.Protocol):
    """One connection: requests in, answers out."""

    def __init__(self, comfy: Comfy) -> None:
        self._comfy = comfy
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember where answers go."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Answer every request that is whole."""
        self._received += data
        while (end := self._received.find(b"\r\n\r\n")) >= 0:
            head = self._received[: end + 2]
            length = _CONTENT_LENGTH.search(head)
            whole = end + 4 + (int(length[1]) if length else 0)
            if len(self._received) < whole:
                return
            body, self._received = self._received[end + 4 : whole], self._received[whole:]
            self._answer(head, body)

    def _answer(self, head: bytes, body: bytes) -> None:
        method, target, _ = head.split(b"\r\n", 1)[0].decode().split(" ")
        if (key := _WEBSOCKET_KEY.search(head)) is not None:
            self._upgrade(key[1], target)
            return
        kind, content = self._comfy.answer(method, target, body)
        self._transport.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: %b\r\nContent-Length: %d\r\n"
            b"Last-Modified: Sat, 21 Nov 2026 10:00:00 GMT\r\n\r\n" % (kind.encode(), len(content))
        )
        if method != "HEAD":
            self._transport.write(content)

    def _upgrade(self, key: bytes, target: str) -> None:
        accept = base64.b64encode(hashlib.sha1(key + _WEBSOCKET_GUID).digest())  # noqa: S324 - RFC 6455
        self._transport.write(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
            b"Connection: Upgrade\r\nSec-WebSocket-Accept: %b\r\n\r\n" % accept
        )
        self._comfy.listen(parse_qs(urlsplit(target).query)["clientId"][0], self._transport)


def _frame(event: str, data: dict) -> bytes:
    text = orjson.dumps({"type": event, "data": data})
    return b"\x81\x7e" + len(text).to_bytes(2) + text


def instant_comfy(picture: Path) -> AbstractContextManager[str]:
    """Run one with this picture; gives its address."""
    return own_process("tests.bench.instant_comfy", str(picture))


async def _serve(picture: bytes) -> None:
    comfy = Comfy(picture)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Wire(comfy), "127.0.0.1", 0, backlog=512)
    port = server.sockets[0].getsockname()[1]
    sys.stdout.write(f"http://127.0.0.1:{port}\n")
    sys.stdout.flush()
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve(Path(sys.argv[1]).read_bytes()))
