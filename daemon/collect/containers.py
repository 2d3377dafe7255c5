"""Looks into video and sound files without decoding them, for whether all is there.

A file that was cut off has a box, an element or a chunk that reaches beyond its end, or lacks the
index that is written last. Pure but for reading; every function blocks.
"""

import os
import struct
from collections.abc import Iterator
from typing import BinaryIO

import msgspec

from daemon.words.recorded import recorded


class Broken(Exception):
    """The file is not whole; the text says what is missing."""


class Span(msgspec.Struct, frozen=True, kw_only=True):
    """A part of a file: its name and where its content lies."""

    name: bytes
    start: int
    end: int


# -- mp4, mov ------------------------------------------------------------------------------------


def check_mp4(file: BinaryIO, size_bytes: int) -> str:
    """Return what the file holds; raises Broken when boxes do not tile it or hold nothing."""
    boxes = list(_boxes(file, 0, size_bytes))
    names = {box.name for box in boxes}
    if b"moov" not in names:
        raise Broken(recorded("no_index"))
    if b"mdat" not in names:
        raise Broken(recorded("no_content"))
    if all(box.end == box.start for box in boxes if box.name == b"mdat"):
        raise Broken(recorded("empty_content"))
    (moov, *_) = (box for box in boxes if box.name == b"moov")
    tracks = [box for box in _boxes(file, moov.start, moov.end) if box.name == b"trak"]
    if not tracks:
        raise Broken(recorded("no_track"))
    samples = sum(_samples(file, track, size_bytes) for track in tracks)
    if samples == 0 and b"moof" not in names:  # a fragmented file keeps its samples in moof boxes
        raise Broken(recorded("empty_tracks"))
    return f"mp4, {len(tracks)} track(s), {samples} samples"


def _boxes(file: BinaryIO, start: int, end: int) -> Iterator[Span]:
    """Yield the boxes between two places; raises Broken unless they end exactly at *end*."""
    at = start
    while at < end:
        if end - at < 8:  # noqa: PLR2004 - a box's head
            raise Broken(recorded("stray_bytes", count=end - at, at=at))
        size, name = struct.unpack(">I4s", _read(file, at, 8))
        head = 8
        if size == 1:
            size, head = struct.unpack(">Q", _read(file, at + 8, 8))[0], 16
        elif size == 0:
            size = end - at
        if size < head or at + size > end:
            beyond = at + size - end
            raise Broken(recorded("long_box", box=_shown(name), at=at, count=beyond))
        yield Span(name=name, start=at + head, end=at + size)
        at += size


def _samples(file: BinaryIO, track: Span, size_bytes: int) -> int:
    """Return the number of samples in a track; raises Broken when they lie outside the file."""
    table = _descend(file, track, b"mdia", b"minf", b"stbl")
    if table is None:
        raise Broken(recorded("no_samples"))
    samples = 0
    for box in _boxes(file, table.start, table.end):
        if box.name in (b"stsz", b"stz2"):
            samples = struct.unpack(">I", _read(file, box.start + 8, 4))[0]
        elif box.name in (b"stco", b"co64"):
            _check_chunks(file, box, size_bytes)
    return samples


def _check_chunks(file: BinaryIO, box: Span, size_bytes: int) -> None:
    """Raise Broken when a chunk is said to begin beyond the end of the file."""
    width, code = (4, "I") if box.name == b"stco" else (8, "Q")
    count = min(
        struct.unpack(">I", _read(file, box.start + 4, 4))[0],
        (box.end - box.start - 8) // width,
    )
    last = max(struct.unpack(f">{count}{code}", _read(file, box.start + 8, count * width)) or (0,))
    if last >= size_bytes:
        raise Broken(recorded("points_beyond", at=last, end=size_bytes))


def _descend(file: BinaryIO, box: Span, *names: bytes) -> Span | None:
    for name in names:
        inner = next((each for each in _boxes(file, box.start, box.end) if each.name == name), None)
        if inner is None:
            return None
        box = inner
    return box


# -- webm, mkv -----------------------------------------------------------------------------------

_EBML, _SEGMENT = b"\x1a\x45\xdf\xa3", b"\x18\x53\x80\x67"
_TRACKS, _CLUSTER = b"\x16\x54\xae\x6b", b"\x1f\x43\xb6\x75"


def check_matroska(file: BinaryIO, size_bytes: int) -> str:
    """Return what the file holds; raises Broken when elements do not fit or none holds pictures."""
    elements = list(_elements(file, 0, size_bytes))
    segment = next((each for each in elements if each.name == _SEGMENT), None)
    if elements[0].name != _EBML or segment is None:
        raise Broken(recorded("no_segment"))
    names = [each.name for each in _elements(file, segment.start, segment.end)]
    if _TRACKS not in names:
        raise Broken(recorded("no_track"))
    if _CLUSTER not in names:
        raise Broken(recorded("no_cluster"))
    return f"webm, {names.count(_CLUSTER)} cluster(s)"


def _elements(file: BinaryIO, start: int, end: int) -> Iterator[Span]:
    """Yield the elements between two places; one of unknown size is taken to reach the end."""
    at = start
    while at < end:
        name, _, id_bytes = _number(file, at, end)
        _, size, width = _number(file, at + id_bytes, end)
        first = at + id_bytes + width
        last = end if size is None else first + size
        if last > end:
            raise Broken(recorded("short_element", element=name.hex(), at=at, count=last - end))
        if last == first and name == _CLUSTER:
            raise Broken(recorded("empty_cluster"))
        yield Span(name=name, start=first, end=last)
        at = last


def _number(file: BinaryIO, at: int, end: int) -> tuple[bytes, int | None, int]:
    """Return a variable-length number as bytes, as value (None = unknown), and its width."""
    if at >= end:
        raise Broken(recorded("ends_in_element"))
    first = _read(file, at, 1)[0]
    width = 9 - first.bit_length()
    if width > 8 or at + width > end:  # noqa: PLR2004 - EBML's longest number
        raise Broken(recorded("no_element", at=at))
    raw = _read(file, at, width)
    value = int.from_bytes(raw, "big") & ((1 << 7 * width) - 1)
    return raw, None if value == (1 << 7 * width) - 1 else value, width


# -- chunks and sound ----------------------------------------------------------------------------


def check_riff(file: BinaryIO, size_bytes: int) -> str:
    """Return the form (WAVE, WEBP, AVI); raises Broken when the file is shorter than it says."""
    promised = struct.unpack("<I", _read(file, 4, 4))[0] + 8
    if promised > size_bytes:
        raise Broken(recorded("promises", promised=promised, count=size_bytes))
    return _shown(_read(file, 8, 4))


def check_glb(file: BinaryIO, size_bytes: int) -> str:
    """Return "glb"; raises Broken when the file has not the length it says."""
    promised = struct.unpack("<I", _read(file, 8, 4))[0]
    if promised != size_bytes:
        raise Broken(recorded("promises", promised=promised, count=size_bytes))
    return "glb"


def check_gif_end(file: BinaryIO, size_bytes: int) -> str:
    """Return "gif"; raises Broken without the last byte: decoders miss lost pictures silently."""
    tail = _read(file, max(0, size_bytes - 64), min(64, size_bytes))
    if not tail.rstrip(b"\0").endswith(b";"):
        raise Broken(recorded("no_end_mark"))
    return "gif"


def _read(file: BinaryIO, at: int, size_bytes: int) -> bytes:
    file.seek(at, os.SEEK_SET)
    data = file.read(size_bytes)
    if len(data) != size_bytes:
        raise Broken(recorded("ends_early", at=at + len(data)))
    return data


def _shown(name: bytes) -> str:
    return name.decode("ascii", errors="replace").strip()
