"""Clients of the events in one process: ``python -m tests.bench.event_clients URL COUNT``.

The first line says that all have their snapshot; after a line on stdin the last one says what came.
"""

import contextlib
import json
import selectors
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

_READ_BYTES = 256 * 1024


class Clients:
    """The process, and what its clients have heard."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.heard: dict[str, float] = {}

    def end(self) -> None:
        """End listening and take down what was heard."""
        out, _ = self._process.communicate("\n")
        self.heard = json.loads(out.splitlines()[-1])


@contextmanager
def listening(url: str, count: int) -> Iterator[Clients]:
    """Let so many clients listen until the end of the block; yields when all have a snapshot."""
    command = [sys.executable, "-m", "tests.bench.event_clients", url, str(count)]
    pipes: Any = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, **pipes) as process:
        assert process.stdout is not None
        assert process.stdout.readline().strip() == "listening"
        clients = Clients(process)
        yield clients
        clients.end()


def connection(url: str) -> socket.socket:
    """Return a connection on which the events have been asked for."""
    where = urlsplit(url)
    opened = socket.create_connection((where.hostname or "", where.port or 80))
    opened.sendall(b"GET /api/events HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n")
    return opened


def main() -> None:
    url, count = sys.argv[1], int(sys.argv[2])
    selector = selectors.DefaultSelector()
    waiting = set()
    for _ in range(count):
        opened = connection(url)
        opened.setblocking(False)
        selector.register(opened, selectors.EVENT_READ)
        waiting.add(opened.fileno())
    ended = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.readline(), ended.set()), daemon=True).start()
    heard_bytes = tasks = cut_off = 0
    while not ended.is_set():
        for key, _ in selector.select(0.1):
            with contextlib.suppress(BlockingIOError):
                part = key.fileobj.recv(_READ_BYTES)
                if part.startswith(b"HTTP/1.0 503"):
                    sys.exit("turned away")
                heard_bytes += len(part)
                tasks += part.count(b"event: task\n")
                cut_off += not part
                if b"event: snapshot" in part and key.fd in waiting:
                    waiting.discard(key.fd)
                    if not waiting:
                        sys.stdout.write("listening\n")
                        sys.stdout.flush()
                if not part:
                    selector.unregister(key.fileobj)
    answer = {"bytes": heard_bytes, "tasks": tasks, "cut_off": cut_off}
    sys.stdout.write(json.dumps(answer) + "\n")


if __name__ == "__main__":
    main()
