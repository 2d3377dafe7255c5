"""One request to the daemon's door and its answer, as plain as HTTP/1.0 is.

``http.client`` brings mail headers and TLS along: to import it takes a fifth of the time that a
command takes in all. The door is our own and needs neither. To HTTP/1.0 it answers in one piece and
closes, and what it answers is JSON: an answer that was cut off shows as none.
"""

import socket
from collections.abc import Mapping
from typing import BinaryIO, Literal, NamedTuple
from urllib.parse import urlsplit

#: More than this is no line of ours, and no header has so many.
_MAX_LINE_BYTES, _MAX_HEADERS = 64 * 1024, 100


class Reply(NamedTuple):
    """What came back."""

    status: int
    body: bytes


class NoReply(Exception):
    """Nothing came back, or no answer of HTTP; nobody knows whether the request was carried out."""


def exchange(
    method: Literal["GET", "POST"],
    url: str,
    path: str,
    headers: Mapping[str, str],
    content: bytes = b"",
    *,
    wait_seconds: float,
) -> Reply:
    """Send one request to the server at *url* and return its answer.

    No silence may last longer than *wait_seconds*. Raises ConnectionRefusedError when nobody
    listens there, other OSErrors when the connection breaks or falls silent, NoReply.
    """
    where = urlsplit(url)
    lines = [f"{method} {path} HTTP/1.0", f"Host: {where.netloc}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    lines += [f"Content-Length: {len(content)}", "", ""]
    host = (where.hostname or "").encode("ascii")  # of text the codec for IDNA would be loaded
    address = (host, where.port)
    with socket.create_connection(address, timeout=wait_seconds) as connection:  # type: ignore[arg-type]  # typeshed knows of text only
        connection.sendall("\r\n".join(lines).encode("latin-1") + content)
        with connection.makefile("rb") as stream:
            return _reply_in(stream)


def _reply_in(stream: BinaryIO) -> Reply:
    version, _, rest = stream.readline(_MAX_LINE_BYTES).partition(b" ")
    status = rest[:3]
    if not version.startswith(b"HTTP/1.") or not status.isdigit():
        raise NoReply
    for _ in range(_MAX_HEADERS):
        if not stream.readline(_MAX_LINE_BYTES).strip():
            return Reply(int(status), stream.read())
    raise NoReply
