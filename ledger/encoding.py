"""Values as JSON, as the journal and the snapshot hold them."""

import threading
from collections.abc import Mapping
from functools import lru_cache

import msgspec

from ledger.task import Json

_encode_into = msgspec.json.Encoder().encode_into


class _Room(threading.local):
    """A buffer for each thread that keeps its size.

    Growing a new one for each record takes twice as long as writing the record into it.
    """

    def __init__(self) -> None:
        self.buffer = bytearray()


_room = _Room()


def encode(value: object) -> bytes:
    """Return *value* as JSON; raises TypeError, ValueError or OverflowError for what is none."""
    buffer = _room.buffer
    _encode_into(value, buffer)
    return bytes(buffer)


@lru_cache(maxsize=256)
def encode_author(actor: str, op: str) -> bytes:
    """Return who changes what, and how, as members of a JSON object; there are few of them."""
    return b'"actor":%b,"op":%b' % (encode(actor), encode(op))


#: What ``encode_why`` returns when there is neither.
NO_REASON = b'"reason":null,"evidence":null'


def encode_why(reason: str | None, evidence: Mapping[str, Json] | None) -> bytes:
    """Return why something changes, and what speaks for it, as members of a JSON object."""
    known = None if evidence is None else dict(evidence)
    return b'"reason":%b,"evidence":%b' % (encode(reason), encode(known))
