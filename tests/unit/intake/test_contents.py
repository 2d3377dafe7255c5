import errno
import hashlib
import io
import os
import struct
import zlib
from pathlib import Path

import pytest
from PIL import Image

from daemon.intake import picture_store
from daemon.intake.contents import ContentStore
from daemon.intake.errors import BadPicture, Postponed
from daemon.intake.reasons import because
from daemon.intake.safeopen import NotAFile, reason_of
from daemon.words import Words

EN = Words("en")


@pytest.fixture
def drop(tmp_path: Path) -> Path:
    folder = tmp_path / "drop"
    folder.mkdir()
    Image.new("RGB", (16, 16), "red").save(folder / "a.png")
    return folder


@pytest.fixture
def store(tmp_path: Path) -> ContentStore:
    return ContentStore(tmp_path / "inputs", max_picture_megapixels=1)


async def refusal(store: ContentStore, named: str, root: Path, allow=()) -> str:
    with pytest.raises(BadPicture) as caught:
        await store.keep(named, root, allow)
    kept = [path for path in store.path_of("0" * 64).parents[2].rglob("*") if path.is_file()]
    assert kept == [], "a refused picture leaves nothing behind"
    return str(caught.value)


async def test_a_good_picture_is_kept_once_under_its_sha256(store, drop):
    (drop / "sub").mkdir()
    (drop / "sub" / "b.png").write_bytes((drop / "a.png").read_bytes())
    data = (drop / "a.png").read_bytes()
    first = await store.keep("a.png", drop)
    second = await store.keep("sub\\b.png", drop)
    assert (first.name, second.name) == ("a.png", "b.png")
    assert first.sha256 == second.sha256 == hashlib.sha256(data).hexdigest()
    assert first.size_bytes == len(data)
    assert store.path_of(first.sha256).read_bytes() == data
    assert [p for p in (drop.parent / "inputs").rglob("*") if p.is_file()] == [
        store.path_of(first.sha256)
    ]


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF"])
async def test_every_usual_kind_of_picture_is_taken(store, drop, kind):
    Image.new("RGB", (30, 20), "blue").save(drop / "x", kind)
    kept = await store.keep("x", drop)
    assert store.path_of(kept.sha256).exists()


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "BMP", "TIFF"])
async def test_a_picture_cut_short_is_refused_whatever_its_kind(store, drop, kind):
    whole = io.BytesIO()
    Image.effect_noise((64, 64), 90).convert("RGB").save(whole, kind)
    (drop / "x").write_bytes(whole.getvalue()[: len(whole.getvalue()) // 2])
    assert "decoded" in await refusal(store, "x", drop)


def png(width: int, height: int) -> bytes:
    """A PNG whose header claims a size; its pixels are one row of nothing."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        crc = zlib.crc32(kind + body)
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", crc)

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = chunk(b"IDAT", zlib.compress(b"\0"))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + pixels + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty"),
        (b"I am a text", "no picture"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "no picture"),
        (b"%PDF-1.4", "no picture"),
        (png(1001, 1000), "1001x1000 = 1 megapixels, at most 1"),
        (png(60_000, 60_000), "60000x60000 = 3600 megapixels, at most 1"),
        (png(10, 10), "decoded"),
    ],
)
async def test_what_is_no_picture_is_refused_with_the_reason(store, drop, content, reason):
    (drop / "x.png").write_bytes(content)
    assert reason in await refusal(store, "x.png", drop)


@pytest.mark.parametrize("megapixels", [100, 200])
async def test_the_setting_alone_says_how_large_a_picture_may_be(drop, tmp_path, megapixels):
    Image.new("1", (10_000, megapixels * 100)).save(drop / "poster.png")
    strict = ContentStore(tmp_path / "inputs", max_picture_megapixels=megapixels - 1)
    assert f"at most {megapixels - 1}" in await refusal(strict, "poster.png", drop)
    store = ContentStore(tmp_path / "inputs", max_picture_megapixels=megapixels)
    assert (await store.keep("poster.png", drop)).name == "poster.png"


async def test_a_picture_over_the_byte_limit_is_refused_before_it_is_copied_whole(
    store, drop, monkeypatch
):
    monkeypatch.setattr(picture_store, "MAX_PICTURE_BYTES", 10)
    assert "larger than" in await refusal(store, "a.png", drop)


async def test_paths_that_lead_out_of_the_drop_are_refused(store, drop):
    outside = drop.parent / "secret.png"
    outside.write_bytes((drop / "a.png").read_bytes())
    for named in ("../secret.png", str(outside), "x/../../secret.png", "..\\secret.png"):
        assert "leads out of the drop" in await refusal(store, named, drop)
    assert "leads out" in await refusal(store, "../../../../../../etc/passwd", drop)
    assert "leads out" in await refusal(store, ".", drop)


async def test_absolute_paths_are_taken_inside_allowed_folders_only(store, drop, tmp_path):
    shared = tmp_path / "shared"
    shared.mkdir()
    (shared / "s.png").write_bytes((drop / "a.png").read_bytes())
    assert (await store.keep(str(shared / "s.png"), drop, [shared])).name == "s.png"
    assert (await store.keep(str(drop / "a.png"), drop)).name == "a.png"
    (shared / "out.png").symlink_to("/etc/hostname")
    with pytest.raises(BadPicture, match="leads out"):
        await store.keep(str(shared / "out.png"), drop, [shared])


async def test_links_are_followed_inside_the_drop_and_never_out_of_it(store, drop):
    (drop / "inner.png").symlink_to("a.png")
    (drop / "outer.png").symlink_to("/etc/passwd")
    (drop / "outer").symlink_to("/etc")
    (drop / "round.png").symlink_to("round.png")
    assert "link that leads out" in await refusal(store, "outer.png", drop)
    assert "link that leads out" in await refusal(store, "outer/passwd", drop)
    assert "link" in await refusal(store, "round.png", drop)
    assert (await store.keep("inner.png", drop)).size_bytes > 0


async def test_what_is_no_file_is_refused_without_waiting_for_it(store, drop):
    os.mkfifo(drop / "pipe.png")
    (drop / "folder.png").mkdir()
    assert "no file but a pipe" in await refusal(store, "pipe.png", drop)
    assert "no file but a folder" in await refusal(store, "folder.png", drop)
    assert "device" in await refusal(store, "/dev/zero", drop, [Path("/dev")])


async def test_missing_and_unspeakable_names_are_refused(store, drop):
    assert "not there" in await refusal(store, "b.png", drop)
    assert "not there" in await refusal(store, "a.png/b.png", drop)
    assert "NUL" in await refusal(store, "a\0.png", drop)
    assert "too long" in await refusal(store, "x" * 5000, drop)


def test_refusals_of_the_system_are_told_in_words():
    assert "permission denied" in reason_of(
        PermissionError(errno.EACCES, "x", "/secret/path")
    ).text(EN)
    assert "/secret" not in reason_of(OSError(errno.EIO, "x", "/secret/path")).text(EN)
    assert reason_of(NotAFile(because("a_socket"))).text(EN) == "it is no file but a socket"


async def test_a_store_that_cannot_be_written_postpones_and_blames_no_row(drop, tmp_path):
    (tmp_path / "inputs").write_text("a file where the folder should be")
    with pytest.raises(Postponed):
        await ContentStore(tmp_path / "inputs", max_picture_megapixels=1).keep("a.png", drop)


async def test_copies_left_half_done_by_a_crash_are_removed(drop, tmp_path):
    incoming = tmp_path / "inputs" / "incoming"
    incoming.mkdir(parents=True)
    (incoming / "half").write_text("x")
    await ContentStore(tmp_path / "inputs", max_picture_megapixels=1).keep("a.png", drop)
    assert list(incoming.iterdir()) == []


@pytest.mark.parametrize("sha256", ["", "../../x", "A" * 64, "0" * 63])
def test_only_a_sha256_names_a_content(store, sha256):
    with pytest.raises(ValueError, match="sha256"):
        store.path_of(sha256)
