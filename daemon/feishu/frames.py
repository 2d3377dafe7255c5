"""Frames of the push connection: protobuf, as far as these frames use it; pure.

Fields, as read in the official SDK (the format is not documented): SeqID 1, LogID 2, service 3,
method 4 (0 control, 1 data), headers 5 {key 1, value 2}, payload_encoding 6, payload_type 7,
payload 8, LogIDNew 9.
"""

from collections.abc import Iterator

import msgspec

CONTROL, DATA = 0, 1
_VARINT, _BYTES = 0, 2
_SKIPPED = {1: 8, 5: 4}  # wire type -> bytes of fields that we know nothing of


class Frame(msgspec.Struct, frozen=True, kw_only=True):
    """One frame; what is answered is the frame itself with another payload."""

    seq_id: int = 0
    log_id: int = 0
    service: int = 0
    method: int = DATA
    headers: dict[str, str] = {}
    payload_encoding: str = ""
    payload_type: str = ""
    payload: bytes = b""
    log_id_new: str = ""


def encode(frame: Frame) -> bytes:
    """Return the frame's bytes."""
    made = bytearray()
    numbers = (frame.seq_id, frame.log_id, frame.service, frame.method)
    for field, number in enumerate(numbers, 1):
        made += _varint(field << 3 | _VARINT) + _varint(number)
    for key, value in frame.headers.items():
        made += _sized(5, _sized(1, key.encode()) + _sized(2, value.encode()))
    contents = {
        6: frame.payload_encoding.encode(),
        7: frame.payload_type.encode(),
        8: frame.payload,
        9: frame.log_id_new.encode(),
    }
    for field, content in contents.items():
        if content:
            made += _sized(field, content)
    return bytes(made)


def decode(data: bytes) -> Frame:
    """Return the frame in *data*; raises ValueError for what is none."""
    numbers: dict[int, int] = {}
    contents: dict[int, bytes] = {}
    headers: dict[str, str] = {}
    for field, value in _fields(data):
        if isinstance(value, int):
            numbers[field] = value
        elif field == 5:  # noqa: PLR2004 - see the head of the module
            pair = {key: text for key, text in _fields(value) if isinstance(text, bytes)}
            headers[pair.get(1, b"").decode()] = pair.get(2, b"").decode()
        else:
            contents[field] = value
    return Frame(
        seq_id=numbers.get(1, 0),
        log_id=numbers.get(2, 0),
        service=numbers.get(3, 0),
        method=numbers.get(4, 0),
        headers=headers,
        payload_encoding=contents.get(6, b"").decode(),
        payload_type=contents.get(7, b"").decode(),
        payload=contents.get(8, b""),
        log_id_new=contents.get(9, b"").decode(),
    )


def _fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    position = 0
    while position < len(data):
        key, position = _read_varint(data, position)
        field, kind = key >> 3, key & 7
        if kind == _VARINT:
            number, position = _read_varint(data, position)
            yield field, number
        elif kind == _BYTES:
            size, position = _read_varint(data, position)
            if position + size > len(data):
                raise ValueError("a frame ends too early")
            yield field, data[position : position + size]
            position += size
        elif kind in _SKIPPED:
            position += _SKIPPED[kind]
        else:
            raise ValueError(f"a frame has the wire type {kind}")


def _varint(number: int) -> bytes:
    made = bytearray()
    while True:
        low, number = number & 0x7F, number >> 7
        made.append(low | (0x80 if number else 0))
        if not number:
            return bytes(made)


def _read_varint(data: bytes, position: int) -> tuple[int, int]:
    number = shift = 0
    while position < len(data):
        byte = data[position]
        position += 1
        number |= (byte & 0x7F) << shift
        if not byte & 0x80:
            return number, position
        shift += 7
    raise ValueError("a frame ends too early")


def _sized(field: int, content: bytes) -> bytes:
    return _varint(field << 3 | _BYTES) + _varint(len(content)) + content
