"""Small pictures: made once, kept within a limit, never a bomb, never a reason to fail."""

import asyncio
import hashlib
import os
import struct
import zlib
from pathlib import Path

import pytest
from PIL import Image

from daemon.web.thumb_cache import ThumbCache
from daemon.web.thumbs import SIDE_PIXELS, NoThumb, make_thumb


def picture(path: Path, size=(900, 600), mode="RGB", **options) -> Path:
    Image.new(mode, size, 90).save(path, **options)
    return path


def opened(thumb: bytes, folder: Path) -> Image.Image:
    (folder / "thumb.webp").write_bytes(thumb)
    return Image.open(folder / "thumb.webp")


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.webp", "a.gif", "a.bmp", "a.tiff"])
def test_a_picture_of_any_kind_becomes_a_small_webp_of_the_same_shape(tmp_path, name):
    with opened(make_thumb(picture(tmp_path / name)), tmp_path) as small:
        assert small.format == "WEBP"
        assert small.size == (SIDE_PIXELS, SIDE_PIXELS * 600 // 900)


def test_what_is_smaller_already_is_not_made_larger_and_keeps_its_transparency(tmp_path):
    with opened(make_thumb(picture(tmp_path / "a.png", (40, 20), "RGBA")), tmp_path) as small:
        assert (small.size, small.mode) == ((40, 20), "RGBA")


def test_a_phone_picture_stands_upright(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    path = picture(tmp_path / "a.jpg", exif=exif)
    with opened(make_thumb(path), tmp_path) as small:
        assert small.height > small.width


def test_the_first_frame_of_a_video_is_its_picture(tmp_path):
    av = pytest.importorskip("av")
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=8)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for colour in ((200, 30, 30), (30, 30, 200)):
            frame = av.VideoFrame.from_image(Image.new("RGB", (64, 48), colour))
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    with opened(make_thumb(path), tmp_path) as small:
        red, _, blue = small.convert("RGB").getpixel((32, 24))
        assert (small.size, red > 150, blue < 80) == ((64, 48), True, True)


def bomb(path: Path) -> Path:
    """Write a PNG of 60,000 by 60,000 pixels in a few bytes."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        crc = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + crc

    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    body = (
        chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 1000)) + chunk(b"IEND", b"")
    )
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + body)
    return path


def test_what_would_burst_is_broken_or_is_no_picture_has_none(tmp_path):
    broken = picture(tmp_path / "broken.png")
    broken.write_bytes(broken.read_bytes()[:60])
    sound = tmp_path / "a.wav"
    sound.write_bytes(b"RIFF\0\0\0\0WAVE")
    clip = tmp_path / "a.mp4"
    clip.write_bytes(b"\0\0\0\x18ftypisom" + b"\0" * 200)
    page = tmp_path / "a.png"
    page.write_text("<script>1</script>")
    for path in (bomb(tmp_path / "bomb.png"), broken, sound, clip, page):
        with pytest.raises(NoThumb):
            make_thumb(path)


async def test_a_small_picture_is_made_once_for_all_files_of_the_same_content(tmp_path):
    made = []

    def make(path):
        made.append(path)
        return b"small"

    cache = ThumbCache(tmp_path / "thumbs", make=make)
    one = picture(tmp_path / "a.png")
    for _ in range(3):
        assert await cache.thumb(sha256(one), one) == b"small"
    assert await ThumbCache(tmp_path / "thumbs").thumb(sha256(one), one) == b"small"
    assert made == [one]


async def test_what_has_none_is_tried_once_and_a_false_sha256_leads_nowhere(tmp_path):
    tried = []

    def fail(path):
        tried.append(path)
        raise NoThumb("broken")

    cache = ThumbCache(tmp_path / "thumbs", make=fail)
    for _ in range(2):
        with pytest.raises(NoThumb):
            await cache.thumb("0" * 64, tmp_path / "a.png")
    for bad in ("", "../" * 20, "0" * 63 + "/"):
        with pytest.raises(NoThumb):
            await cache.thumb(bad, tmp_path / "a.png")
    assert len(tried) == 1
    assert not (tmp_path / "thumbs").exists()


async def test_the_cache_stays_below_its_limit_and_what_was_used_last_stays(tmp_path):
    root = tmp_path / "thumbs"
    cache = ThumbCache(root, make=lambda _: b"x" * 1000, max_bytes=10_500)
    left_by_a_crash = root / "ff" / "0123.part"
    left_by_a_crash.parent.mkdir(parents=True)
    left_by_a_crash.write_bytes(b"x" * 500)
    names = [f"{n:064x}" for n in range(40)]
    for age, name in enumerate(names):
        await cache.thumb(name, tmp_path)
        os.utime(root / name[:2] / f"{name}.webp", (age, age))
        await cache.thumb(names[0], tmp_path)  # in use all the time: its age is noted anew
        kept = [path for path in root.rglob("*") if path.is_file()]
        assert sum(path.stat().st_size for path in kept) <= 10_500
    assert not left_by_a_crash.exists()
    assert (root / "00" / f"{names[0]}.webp").exists()
    assert (root / "00" / f"{names[-1]}.webp").exists()
    assert not (root / "00" / f"{names[1]}.webp").exists()


async def test_a_full_disk_costs_only_the_cache(tmp_path):
    root = tmp_path / "thumbs"
    root.write_text("a file where the folder should be")
    one = picture(tmp_path / "a.png")
    assert await ThumbCache(root).thumb(sha256(one), one)


async def test_the_loop_goes_on_while_a_great_picture_is_made_small(tmp_path):
    great = picture(tmp_path / "great.png", (3000, 2500))
    gaps = []

    async def watch():
        loop = asyncio.get_running_loop()
        while True:
            before = loop.time()
            await asyncio.sleep(0.005)
            gaps.append(loop.time() - before)

    watching = asyncio.ensure_future(watch())
    await ThumbCache(tmp_path / "thumbs").thumb(sha256(great), great)
    watching.cancel()
    assert len(gaps) > 3
