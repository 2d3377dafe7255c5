"""One request to our own door: what comes whole is an answer, all else is told apart."""

import socket
import threading
import time
from typing import Self

import pytest

from daemon.cli.exchange import NoReply, Reply, exchange


class Server:
    """Answers the only request that comes with bytes of our choice, and keeps the request."""

    def __init__(self, answer: bytes, *, pause_seconds: float = 0.0) -> None:
        self._answer, self._pause_seconds = answer, pause_seconds
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self.request = b""
        self._thread = threading.Thread(target=self._serve)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.join()
        self._socket.close()

    def _serve(self) -> None:
        connection, _ = self._socket.accept()
        with connection:
            self.request = connection.recv(65536)
            time.sleep(self._pause_seconds)
            connection.sendall(self._answer)


def ask(server: Server, *, wait_seconds: float = 5.0) -> Reply:
    return exchange("POST", server.url, "/a?b=1", {"X-One": "1"}, b"{}", wait_seconds=wait_seconds)


def test_a_request_says_who_is_meant_and_how_much_comes():
    with Server(b"HTTP/1.0 204 No Content\r\n\r\n") as server:
        assert ask(server) == Reply(204, b"")
    head, _, body = server.request.partition(b"\r\n\r\n")
    host = server.url.removeprefix("http://").encode()
    lines = [b"POST /a?b=1 HTTP/1.0", b"Host: " + host, b"X-One: 1", b"Content-Length: 2"]
    assert head.split(b"\r\n") == lines
    assert body == b"{}"


def test_a_long_answer_comes_whole():
    body = b"x" * 5_000_000
    with Server(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n" + body) as server:
        assert ask(server) == Reply(200, body)


@pytest.mark.parametrize(
    "answer",
    [b"", b"SSH-2.0-OpenSSH_9.2\r\n", b"HTTP/1.0 what\r\n\r\n", b"HTTP/1.0 200\r\n" + b"A: b\r\n" * 999],
    ids=["nothing", "another protocol", "no status", "headers without end"],
)  # fmt: skip
def test_what_is_no_http_is_no_reply(answer):
    with Server(answer) as server, pytest.raises(NoReply):
        ask(server)


def test_a_server_that_falls_silent_is_given_up():
    with Server(b"", pause_seconds=0.5) as server, pytest.raises(TimeoutError):
        ask(server, wait_seconds=0.05)


def test_where_nobody_listens_the_connection_is_refused():
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with pytest.raises(ConnectionRefusedError):
        exchange("GET", f"http://127.0.0.1:{port}", "/", {}, wait_seconds=1)
