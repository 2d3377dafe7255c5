"""How a command finds the door of a running daemon; what both sides must agree on.

Loads no web server: a command must be quick to start.
"""

import socket
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

#: Who wants a change, as a command vouches for it; believed only with the token.
ACTOR_HEADER = "X-Rowkeeper-Actor"


class Address(msgspec.Struct, frozen=True):
    """Where a daemon listens, and which process it is."""

    url: str
    pid: int


def address_file(state_dir: Path) -> Path:
    """Return the file that holds the address for as long as the daemon listens.

    A crash leaves it behind, so its ``pid`` is compared with the lock's holder.
    """
    return state_dir / "web.json"


def address_in(state_dir: Path) -> Address | None:
    """Return where the daemon listens, None when it has not said so; raises PermissionError."""
    path = address_file(state_dir)
    try:
        if not path.is_file():  # what else bears the name might be read for ever
            return None
        address = msgspec.json.decode(path.read_bytes(), type=Address)
        return None if urlsplit(address.url).port is None else address
    except PermissionError:
        raise
    except (OSError, ValueError, msgspec.MsgspecError):  # it went, or holds no address
        return None


def try_to_listen(host: str, port: int) -> None:
    """Listen as the daemon will, for a moment; raises OSError when it could not."""
    kind, passive = socket.SOCK_STREAM, socket.AI_PASSIVE
    named = host.strip("[]") or None
    for family, _, _, _, where in socket.getaddrinfo(named, port, type=kind, flags=passive):
        try:
            listener = socket.socket(family, kind)
        except OSError:  # the system has no such addresses; the others count
            continue
        with listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            listener.bind(where)
            listener.listen(1)
