"""PNG files proven without a decoder: nothing that a decoder would refuse is let through."""

import io
import random
import struct
import zlib

import pytest
from PIL import Image

from daemon.collect import png
from daemon.collect.png import Doubtful, size_of_whole

SIZE = (120, 90)
NOISE = random.Random(7).randbytes(120 * 90 * 4)


def written(mode, **options):
    """Return a picture's bytes as Pillow writes it."""
    buffer = io.BytesIO()
    bytes_a_pixel = {"RGBA": 4, "RGB": 3, "LA": 2, "I;16": 2}.get(mode, 1)
    Image.frombytes(mode, SIZE, NOISE[: 120 * 90 * bytes_a_pixel]).save(buffer, "PNG", **options)
    return buffer.getvalue()


def chunk(name, content=b""):
    return (
        struct.pack(">I4s", len(content), name)
        + content
        + struct.pack(">I", zlib.crc32(name + content))
    )


def made(lines, head=(2, 3, 8, 0, 0, 0, 0), pixels=None, end=True):
    """Return a grey picture of 2 x 3 pixels made of these stored lines."""
    pixels = zlib.compress(lines) if pixels is None else pixels
    signature = b"\x89PNG\r\n\x1a\n"
    begun = signature + chunk(b"IHDR", struct.pack(">IIBBBBB", *head)) + chunk(b"IDAT", pixels)
    return begun + (chunk(b"IEND") if end else b"")


LINES = b"\0ab\1cd\4ef"


def proven(content):
    return size_of_whole(io.BytesIO(content))


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "LA", "I;16"])
@pytest.mark.parametrize("level", [0, 1, 9])
def test_a_whole_picture_is_proven_whatever_its_pixels_are(mode, level):
    assert proven(written(mode, compress_level=level)) == SIZE


def test_a_picture_larger_than_a_piece_is_proven(monkeypatch):
    monkeypatch.setattr(png, "PIECE_BYTES", 100)  # not a multiple of a line
    assert proven(written("RGB")) == SIZE
    with pytest.raises(Doubtful):
        proven(written("RGB")[:-400])


@pytest.mark.parametrize("side", [64, 512, 1024, 1500])
def test_a_picture_of_one_colour_is_proven_though_all_of_it_is_taken_in_at_once(side):
    file = io.BytesIO()
    Image.new("RGB", (side, side), "teal").save(file, "PNG")
    assert proven(file.getvalue()) == (side, side)


@pytest.mark.parametrize(
    "content",
    [
        written("P"),
        written("RGB", save_all=True, append_images=[Image.new("RGB", SIZE)]),
        made(LINES, head=(2, 3, 8, 0, 0, 0, 1)),
        made(LINES, head=(4, 3, 4, 0, 0, 0, 0)),
    ],
    ids=["palette", "two frames", "interlaced", "half bytes"],
)
def test_what_only_a_decoder_knows_is_left_to_it(content):
    with pytest.raises(Doubtful):
        proven(content)


def test_the_picture_that_is_spoilt_below_is_whole():
    assert proven(made(LINES)) == (2, 3)
    assert Image.open(io.BytesIO(made(LINES))).getpixel((0, 0)) == ord("a")


@pytest.mark.parametrize(
    "content",
    [
        made(b"\0ab\1cd\5ef"),
        made(LINES[:-1]),
        made(LINES + b"\0gh"),
        made(LINES, pixels=zlib.compress(LINES)[:-2]),
        made(LINES, pixels=zlib.compress(LINES)[:-1] + b"?"),
        made(LINES, pixels=b"not deflated"),
        made(LINES, head=(0, 3, 8, 0, 0, 0, 0)),
        made(b"", head=(2, 0, 8, 0, 0, 0, 0)),
        made(LINES, end=False),
        made(LINES)[:-1],
        made(LINES).replace(b"IDAT", b"IDAX"),
        made(LINES, end=False) + chunk(b"ABCD") + chunk(b"IEND"),
        b"",
        made(LINES)[:8],
    ],
)
def test_a_spoilt_picture_is_never_proven(content):
    with pytest.raises(Doubtful):
        proven(content)


@pytest.mark.parametrize("level", [0, 6])
def test_no_flipped_byte_is_missed_where_a_decoder_would_see_it(level):
    whole = written("RGB", compress_level=level)
    for at in range(0, len(whole), 97):
        spoilt = bytearray(whole)
        spoilt[at] ^= 0x81
        with pytest.raises(Doubtful):
            proven(bytes(spoilt))
