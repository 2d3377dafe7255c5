"""How a command finds the door of a running daemon; what both sides must agree on.

Loads no web server: a command must be quick to start.
"""

from pathlib import Path

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
    """Return where the daemon listens, None when it has not said so."""
    try:
        return msgspec.json.decode(address_file(state_dir).read_bytes(), type=Address)
    except (FileNotFoundError, msgspec.MsgspecError):
        return None
