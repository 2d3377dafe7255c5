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


def encode_evidence(evidence: Mapping[str, Json] | None) -> bytes:
    """Return what speaks for a change, or ``null``."""
    return b"null" if evidence is None else encode(dict(evidence))
