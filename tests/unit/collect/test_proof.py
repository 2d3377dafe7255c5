"""Proof of results: real files, whole and spoilt."""

import asyncio
import io
import random
import struct
import tempfile
import wave
from contextlib import suppress
from pathlib import Path

import av
import pytest
from PIL import Image, ImageChops

from daemon import failpoint
from daemon.collect import proof
from daemon.collect.part import discard
from daemon.collect.proof import BadOutput, place, prove
from tests.fakes.loop_lag import LoopLag

NOISE = Image.frombytes("RGB", (120, 90), random.Random(7).randbytes(120 * 90 * 3))


def picture(form, frames=1, **options):
    """Return a picture's bytes; noise, so that a cut hits pixels."""
    pictures = [ImageChops.offset(NOISE, n) for n in range(frames)]
    buffer = io.BytesIO()
    more = {"save_all": True, "append_images": pictures[1:]} if frames > 1 else {}
    pictures[0].save(buffer, form, **more, **options)
    return buffer.getvalue()


def video(form, codec, frames=12, **options):
    """Return a video's bytes as a real encoder writes it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "video")
        with av.open(str(path), "w", format=form, options=options) as container:
            stream = container.add_stream(codec, rate=12)
            stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
            for n in range(frames):
                frame = av.VideoFrame(64, 48, "yuv420p")
                for plane in frame.planes:
                    plane.update(random.Random(n).randbytes(plane.buffer_size))
                container.mux(stream.encode(frame))
            container.mux(stream.encode())
        return path.read_bytes()


def sound():
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(b"\1\2" * 4000)
    return buffer.getvalue()


PICTURES = {
    "a.png": picture("PNG"),
    "b.jpg": picture("JPEG"),
    "c.webp": picture("WEBP", lossless=True),
    "d.gif": picture("GIF"),
    "e.bmp": picture("BMP"),
    "f.tiff": picture("TIFF"),
    "g.webp": picture("WEBP", frames=3, lossless=True),
    "h.gif": picture("GIF", frames=3),
    "i.png": picture("PNG", frames=3),
    "j.avif": picture("AVIF"),
}
VIDEOS = {
    "a.mp4": video("mp4", "mpeg4"),
    "b.mov": video("mov", "mpeg4"),
    "c.mp4": video("mp4", "mpeg4", movflags="faststart"),
    "d.mp4": video("mp4", "mpeg4", movflags="frag_keyframe+empty_moov"),
    "e.webm": video("webm", "libvpx-vp9"),
    "f.mkv": video("matroska", "mpeg4"),
}
WHOLE = PICTURES | VIDEOS | {"a.wav": sound()}


def test_the_samples_say_what_they_are_made_of():
    assert VIDEOS["c.mp4"].index(b"moov") < VIDEOS["c.mp4"].index(b"mdat")
    assert b"moof" in VIDEOS["d.mp4"]


@pytest.mark.parametrize("name", WHOLE)
async def test_a_whole_file_is_proven(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(WHOLE[name])
    assert prove(path)
    part = path.rename(tmp_path / f"{name}.part")
    assert prove(part)


@pytest.mark.parametrize("name", WHOLE)
async def test_what_was_just_written_is_proven_from_memory(tmp_path, name):
    path = tmp_path / f"{name}.part"  # is not there to be read
    assert prove(path, WHOLE[name])
    with pytest.raises(BadOutput, match=name):
        prove(path, WHOLE[name][: len(WHOLE[name]) // 2])


@pytest.mark.parametrize("name", WHOLE)
@pytest.mark.parametrize("kept", [0.01, 0.3, 0.7, 0.97])
async def test_a_file_that_was_cut_off_is_bad(tmp_path, name, kept):
    path = tmp_path / name
    path.write_bytes(WHOLE[name][: int(len(WHOLE[name]) * kept)])
    with pytest.raises(BadOutput, match=name):
        prove(path)


@pytest.mark.parametrize("name", [name for name in VIDEOS if name != "d.mp4"])
async def test_a_video_that_lacks_its_last_byte_is_bad(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(WHOLE[name][:-1])
    with pytest.raises(BadOutput, match="broken"):
        prove(path)


async def test_the_size_and_the_frames_are_told(tmp_path):
    path = tmp_path / "g.webp"
    path.write_bytes(PICTURES["g.webp"])
    assert prove(path) == "webp, 120 x 90, 3 frame(s)"
    path = tmp_path / "a.mp4"
    path.write_bytes(VIDEOS["a.mp4"])
    assert prove(path) == "mp4, 1 track(s), 12 samples"


@pytest.mark.parametrize("name", ["a.png", "a.mp4", "a.xyz", "a"])
async def test_an_empty_file_is_bad_whatever_its_name(tmp_path, name):
    (tmp_path / name).touch()
    with pytest.raises(BadOutput, match="empty"):
        prove(tmp_path / name)


@pytest.mark.parametrize("name", ["a.png", "a.mp4", "a.webm", "a.wav", "a.flac"])
async def test_a_text_with_the_name_of_a_picture_is_bad(tmp_path, name):
    (tmp_path / name).write_bytes(b"<html>502 Bad Gateway</html>")
    with pytest.raises(BadOutput, match="begins with b'<html>50'"):
        prove(tmp_path / name)


async def test_a_picture_under_another_pictures_name_is_proven_as_what_it_is(tmp_path):
    (tmp_path / "a.png").write_bytes(PICTURES["b.jpg"])
    assert (prove(tmp_path / "a.png")).startswith("jpeg")


async def test_a_kind_that_nobody_knows_is_let_through_and_said(tmp_path):
    (tmp_path / "a.latent").write_bytes(b"whatever")
    assert "unknown kind" in prove(tmp_path / "a.latent")


@pytest.mark.parametrize("at", [0.3, 0.6])
async def test_a_flipped_byte_in_a_png_is_bad(tmp_path, at):
    content = bytearray(PICTURES["a.png"])
    content[int(len(content) * at)] ^= 0xFF
    (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(BadOutput, match="cannot be decoded"):
        prove(tmp_path / "a.png")


def box(name, content=b""):
    return struct.pack(">I4s", 8 + len(content), name) + content


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (box(b"ftyp", b"isom") + box(b"mdat", b"x"), "moov"),
        (box(b"ftyp", b"isom") + box(b"moov"), "mdat"),
        (box(b"ftyp", b"isom") + box(b"mdat") + box(b"moov"), "is empty"),
        (box(b"ftyp", b"isom") + box(b"mdat", b"x") + box(b"moov"), "no track"),
        (box(b"ftyp", b"isom") + box(b"mdat", b"x") + box(b"moov", box(b"trak")), "no table"),
        (box(b"ftyp", b"isom") + b"\0\0\0\2mdat", "reaches"),
        (box(b"ftyp", b"isom") + b"\0\0\0\1mdat" + struct.pack(">Q", 2**63), "reaches"),
        (box(b"ftyp", b"isom") + b"\0\0\0\1mdat\0", "in the middle"),
        (box(b"ftyp", b"isom") + b"\0\0", "stray"),
        (b"\x1a\x45\xdf\xa3\x80", "no segment"),
        (b"\x1a\x45\xdf\xa3\x80\x00\x00", "begins no element"),
        (b"\x1a\x45\xdf\xa3\x80\x18\x53\x80\x67\x80", "no track"),
        (b"RIFF\x10\0\0\0WAVEfmt ", "promises"),
        (b"RIFF", "no mp4"),
        (b"glTF\2\0\0\0\xff\0\0\0", "promises"),
        (b"\x89PNG\r\n\x1a\n", "decoded"),
    ],
)
async def test_hostile_containers_are_bad_and_never_a_crash(tmp_path, content, said):
    (tmp_path / "a.mp4").write_bytes(content)
    with pytest.raises(BadOutput, match=said):
        prove(tmp_path / "a.mp4")


@pytest.mark.parametrize("name", [*VIDEOS, "a.png", "h.gif"])
async def test_any_flipped_byte_is_proven_or_bad_and_never_a_crash(tmp_path, name):
    whole = WHOLE[name]
    for at in range(0, len(whole), max(1, len(whole) // 25)):
        spoilt = bytearray(whole)
        spoilt[at] ^= 0x81
        (tmp_path / name).write_bytes(spoilt)
        with suppress(BadOutput):  # and nothing else
            assert prove(tmp_path / name)


async def test_a_picture_of_200_megapixels_is_no_bomb(tmp_path):
    path = tmp_path / "big.png"
    Image.new("1", (20_000, 10_000)).save(path)
    assert prove(path) == "png, 20000 x 10000, 1 frame(s)"


async def test_a_picture_beyond_every_measure_is_checked_without_decoding(tmp_path, monkeypatch):
    monkeypatch.setattr(proof, "MAX_DECODED_PIXELS", 100)
    path = tmp_path / "i.png"
    path.write_bytes(PICTURES["i.png"])
    assert prove(path) == "png, 120 x 90, too big to be decoded"
    path.write_bytes(PICTURES["i.png"][:-200])
    with pytest.raises(BadOutput):
        prove(path)


async def test_the_loop_goes_on_while_a_picture_is_decoded(tmp_path):
    path = tmp_path / "big.png"
    Image.effect_noise((2400, 1800), 80).convert("RGB").save(path, compress_level=1)
    async with LoopLag() as lag:
        for _ in range(4):
            assert "2400 x 1800" in await asyncio.to_thread(prove, path)
    assert lag.beats > 20  # of eighty; one that holds the interpreter leaves time for two or three


async def test_a_file_that_is_gone_is_the_disks_fault_not_the_files(tmp_path):
    with pytest.raises(FileNotFoundError):
        prove(tmp_path / "none.png")


# -- placing ------------------------------------------------------------------------------------


@pytest.fixture
def part(tmp_path):
    path = tmp_path / "a.png.part"
    path.write_bytes(b"new")
    path.with_name("a.png.part.note").write_bytes(b"{}")
    return path


async def test_a_part_gets_its_name_and_leaves_nothing_behind(tmp_path, part):
    place(part, tmp_path / "a.png")
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]
    assert (tmp_path / "a.png").read_bytes() == b"new"


async def test_a_file_of_somebody_else_is_never_overwritten(tmp_path, part):
    (tmp_path / "a.png").write_bytes(b"old")
    with pytest.raises(FileExistsError):
        place(part, tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes() == b"old"
    assert part.exists()


async def test_the_same_bytes_already_in_place_are_our_own_from_before_a_crash(tmp_path, part):
    (tmp_path / "a.png").write_bytes(b"new")
    place(part, tmp_path / "a.png")
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


async def test_a_dangling_link_in_the_way_is_not_followed(tmp_path, part):
    (tmp_path / "a.png").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(FileExistsError):
        place(part, tmp_path / "a.png")
    assert not (tmp_path / "elsewhere").exists()


async def test_both_sides_of_the_rename_are_named_places(tmp_path, part):
    reached = []
    failpoint.arm(reached.append)
    try:
        place(part, tmp_path / "a.png")
    finally:
        failpoint.arm(None)
    assert reached == ["download.before_rename", "download.after_rename"]


def test_a_discarded_part_takes_its_note_along(tmp_path, part):
    discard(part)
    assert list(tmp_path.iterdir()) == []
