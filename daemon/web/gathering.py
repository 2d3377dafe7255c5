"""Long lists as JSON, gathered bit by bit: the loop goes on, and no document outlasts its turn."""

import asyncio
from collections.abc import Iterable, Iterator, Mapping

import msgspec
from aiohttp import web

from daemon.web.headers import OF_JSON
from ledger.slices import in_slices

#: An answer that is longer goes out in pieces, each as soon as it is made: some three milliseconds'
#: work. So nobody holds the whole of it.
PIECE_BYTES = 64 * 1024


async def gathered(name: str, documents: Iterable[object], rest: Mapping[str, object]) -> bytearray:
    """Return as JSON what ``answer_listing`` answers."""
    encoded = bytearray()
    await in_slices(map(encoded.extend, _object_of(name, documents, rest)))
    return encoded


async def answer_listing(
    request: web.BaseRequest, name: str, documents: Iterable[object], rest: Mapping[str, object]
) -> web.StreamResponse:
    """Answer an object: the list of *documents* under *name*, and the members of *rest*.

    What goes wrong while a long list is made breaks the answer off.
    """
    parts = _object_of(name, documents, rest)
    piece = _piece_of(parts)
    if len(piece) < PIECE_BYTES:
        return web.Response(body=piece, headers=OF_JSON)
    response = web.StreamResponse(headers=OF_JSON)
    await response.prepare(request)
    while piece and request.method != "HEAD":
        await response.write(piece)
        await asyncio.sleep(0)  # a write waits for a slow reader only
        piece = _piece_of(parts)
    await response.write_eof()
    return response


def _object_of(
    name: str, documents: Iterable[object], rest: Mapping[str, object]
) -> Iterator[bytes]:
    yield b"{%b:[" % msgspec.json.encode(name)
    separator = b""
    for document in documents:
        yield separator + msgspec.json.encode(document)
        separator = b","
    yield b"]," + msgspec.json.encode(rest)[1:] if rest else b"]}"


def _piece_of(parts: Iterator[bytes]) -> bytes:
    """Return the next parts, as many as make a piece; nothing when there are none."""
    piece = bytearray()
    for part in parts:
        piece += part
        if len(piece) >= PIECE_BYTES:
            break
    return bytes(piece)
