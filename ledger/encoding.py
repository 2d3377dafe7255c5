"""Values as JSON, as the journal and the snapshot hold them."""

import threading

import msgspec
import orjson

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
    """Return *value* as JSON; raises ValueError for what is none, such as half a surrogate pair."""
    buffer = _room.buffer
    try:
        _encode_into(value, buffer)
    except (TypeError, ValueError, OverflowError) as error:
        raise _not_json(error) from error
    return bytes(buffer)


def prove_writable(value: Json) -> None:
    """Return when a snapshot can hold *value*; its writer is stricter with great numbers."""
    try:
        orjson.dumps(value)
    except (TypeError, ValueError) as error:
        raise _not_json(error) from error


def _not_json(error: Exception) -> ValueError:
    return ValueError(f"not to be written as JSON: {error}")
