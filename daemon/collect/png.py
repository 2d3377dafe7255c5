"""Proves the pictures that ComfyUI mostly makes, at a third of what decoding them would cost.

And without holding the loop: inflating lets others have the interpreter, Pillow's decoder does not.
"""

import struct
from collections.abc import Iterator
from typing import BinaryIO

from isal import isal_zlib

#: Bytes read, or inflated, at a time: memory does not grow with the picture.
PIECE_BYTES = 1 << 18
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_HEAD = struct.Struct(">IIBBBBB")  # width, height, depth, colour type, three methods
_SAMPLES = {0: 1, 2: 3, 4: 2, 6: 4}  # of a pixel, by colour type; palettes are for a decoder
_DEPTHS = (8, 16)
_LAST_FILTER = 4
_FRAMES = frozenset({b"acTL", b"fcTL", b"fdAT"})


class Doubtful(Exception):
    """Damaged, or of a form that only a decoder knows: let one say which."""


def size_of_whole(file: BinaryIO) -> tuple[int, int]:
    """Return width and height of a picture of which every pixel can surely be decoded.

    So it is when every chunk up to the end mark bears its checksum, and the pixels inflate to the
    very number of bytes that the head promises, each line led by a filter that there is: undoing
    filters is arithmetic that cannot fail (PNG specification, third edition, 7 to 10).
    Raises Doubtful, also for palettes, interlacing and several frames. Blocks.
    """
    file.seek(0)
    if _read(file, len(_SIGNATURE)) != _SIGNATURE:
        raise Doubtful
    name, length = _next(file)
    if name != b"IHDR" or length != _HEAD.size:
        raise Doubtful
    pixels = _Pixels(b"".join(_content(file, name, length)))
    while name != b"IEND":
        name, length = _next(file)
        if name in _FRAMES or (name[:1].isupper() and name not in (b"IDAT", b"IEND")):
            raise Doubtful
        for piece in _content(file, name, length):
            if name == b"IDAT":
                pixels.take(piece)
    pixels.must_be_whole()
    return pixels.width, pixels.height


class _Pixels:
    """The lines of a picture as they are stored: a filter's number, then the line's samples."""

    def __init__(self, head: bytes) -> None:
        self.width, self.height, depth, colours, *methods = _HEAD.unpack(head)
        if colours not in _SAMPLES or depth not in _DEPTHS or any(methods):
            raise Doubtful
        self._line_bytes = 1 + self.width * _SAMPLES[colours] * depth // 8
        self._missing_bytes = self._line_bytes * self.height
        self._next_line = 0  # where it begins in what is inflated next
        self._inflating = isal_zlib.decompressobj()

    def take(self, piece: bytes) -> None:
        """Inflate a piece and look at what comes out.

        All was taken in does not mean that all came out.
        """
        came_out = PIECE_BYTES
        while not self._inflating.eof and (piece or came_out == PIECE_BYTES):
            try:
                lines = self._inflating.decompress(piece, PIECE_BYTES)
            except isal_zlib.error as error:  # type: ignore[misc]  # its stub knows no class
                raise Doubtful from error
            piece = self._inflating.unconsumed_tail
            came_out = len(lines)
            self._look_at(lines)

    def _look_at(self, lines: bytes) -> None:
        filters = lines[self._next_line :: self._line_bytes]
        if filters and max(filters) > _LAST_FILTER:
            raise Doubtful
        self._next_line = (self._next_line - len(lines)) % self._line_bytes
        self._missing_bytes -= len(lines)
        if self._missing_bytes < 0:
            raise Doubtful

    def must_be_whole(self) -> None:
        """Raise Doubtful unless every line came, and zlib's own checksum after the last."""
        if self._missing_bytes or not self._inflating.eof or not self.width or not self.height:
            raise Doubtful


def _next(file: BinaryIO) -> tuple[bytes, int]:
    """Return the name of the next chunk and the length of its content."""
    length, name = struct.unpack(">I4s", _read(file, 8))
    return name, length


def _content(file: BinaryIO, name: bytes, length: int) -> Iterator[bytes]:
    """Yield a chunk's content in pieces, then hold it against its checksum."""
    checksum = isal_zlib.crc32(name)
    while length:
        piece = _read(file, min(length, PIECE_BYTES))
        length -= len(piece)
        checksum = isal_zlib.crc32(piece, checksum)
        yield piece
    if checksum != int.from_bytes(_read(file, 4), "big"):
        raise Doubtful


def _read(file: BinaryIO, size_bytes: int) -> bytes:
    content = file.read(size_bytes)
    if len(content) != size_bytes:
        raise Doubtful
    return content
