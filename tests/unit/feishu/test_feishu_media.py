"""Files travel whole, in order and without filling the memory."""

import asyncio
import hashlib
import os
import tracemalloc

import pytest

from daemon.feishu.errors import FeishuError, Reaction
from daemon.feishu.media import Media, ParentType, Place
from tests.fakes.feishu import Column

MIB = 1024 * 1024


@pytest.fixture
def place(feishu):
    base = feishu.base([Column("图", 17)])
    return Place(ParentType.BITABLE_FILE, base.app)


def written(path, size_bytes):
    block = os.urandom(MIB)
    with path.open("wb") as file:
        for _ in range(size_bytes // MIB):
            file.write(block)
        file.write(block[: size_bytes % MIB])
    return path


async def test_a_small_file_goes_in_one_call(feishu, client, place, tmp_path):
    token = await Media(client).upload(written(tmp_path / "a.png", 1000), "图.png", place)
    media = feishu.drive.media[token]
    assert (media.content, media.name) == ((tmp_path / "a.png").read_bytes(), "图.png")
    assert feishu.names() == {"auth.token": 1, "media.upload": 1}


async def test_45_mib_go_in_parts_and_a_part_that_fails_is_sent_again(
    feishu, client, place, tmp_path, clock
):
    path = written(tmp_path / "a.mp4", 45 * MIB)
    feishu.fail("media.part", 1061045, status=400)
    feishu.fail("media.part", 1062008, status=400)
    feishu.fail("media.part", status=502, body=b"<html>")
    token = await Media(client).upload(path, "a.mp4", place)
    sent = hashlib.sha256(feishu.drive.media[token].content).digest()
    assert sent == hashlib.sha256(path.read_bytes()).digest()
    assert feishu.count("media.part") == 12 + 3
    assert clock.monotonic() >= (12 + 2) * 0.2


async def test_an_upload_that_feishu_forgot_is_begun_anew_once(feishu, client, place, tmp_path):
    path = written(tmp_path / "a.mp4", 21 * MIB)
    feishu.fail("media.finish", 1061021, status=400)
    assert await Media(client).upload(path, "a.mp4", place)
    feishu.fail("media.finish", 1061021, status=400, times=2)
    with pytest.raises(FeishuError) as caught:
        await Media(client).upload(path, "a.mp4", place)
    assert caught.value.reaction is Reaction.ROW


async def test_many_files_at_once_keep_the_rule_of_five_a_second(feishu, client, place, tmp_path):
    path = written(tmp_path / "a.png", 1000)
    source = feishu.drive.put(b"x" * 1000, "b.png", place.document)
    media = Media(client)
    downloads = [media.download(source, tmp_path / f"{n}.png") for n in range(8)]
    await asyncio.gather(*(media.upload(path, "a.png", place) for _ in range(8)), *downloads)
    assert {call.code for call in feishu.calls} == {0}


async def test_100_mib_are_downloaded_without_filling_the_memory(feishu, client, place, tmp_path):
    content = bytes(100 * MIB)
    token = feishu.drive.put(content, "a.mp4", place.document)
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        size = await Media(client).download(token, tmp_path / "a.mp4", size_bytes=len(content))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert size == (tmp_path / "a.mp4").stat().st_size == len(content)
    assert peak - before < 20 * MIB


@pytest.mark.parametrize("ignores_range", [False, True])
async def test_a_broken_download_goes_on_where_it_broke(
    ignores_range, feishu, client, place, tmp_path
):
    content = os.urandom(3 * MIB)
    token = feishu.drive.put(content, "a.png", place.document)
    feishu.drive.breaks_after, feishu.drive.ignores_range = MIB, ignores_range
    await Media(client).download(token, tmp_path / "a.png", size_bytes=len(content))
    assert (tmp_path / "a.png").read_bytes() == content
    assert feishu.count("media.download") == 2


async def test_a_document_with_advanced_permissions_wants_extra(feishu, client, place, tmp_path):
    token = feishu.drive.put(b"x", "a.png", place.document)
    feishu.drive.advanced.add(place.document)
    media = Media(client)
    with pytest.raises(FeishuError) as caught:
        await media.download(token, tmp_path / "a.png")
    assert (caught.value.reaction, caught.value.about) == (Reaction.CONFIG, "advanced")
    extra = f'{{"bitablePerm":{{"tableId":"t","attachments":{{"f":{{"r":["{token}"]}}}}}}}}'
    assert await media.download(token, tmp_path / "a.png", extra=extra) == 1


async def test_a_file_of_another_size_than_told_is_refused(feishu, client, place, tmp_path):
    token = feishu.drive.put(b"xy", "a.png", place.document)
    with pytest.raises(FeishuError, match="2 bytes came instead of 3"):
        await Media(client).download(token, tmp_path / "a.png", size_bytes=3)


@pytest.mark.parametrize(
    ("status", "reaction"),
    [(403, Reaction.CONFIG), (404, Reaction.ROW), (500, Reaction.TRANSIENT)],
)
async def test_the_status_of_a_refused_download_tells_what_helps(
    status, reaction, feishu, client, tmp_path
):
    token = feishu.drive.put(b"xy", "a.png", "bas1")
    feishu.fail("media.download", status=status, body=b"", times=9)
    with pytest.raises(FeishuError) as caught:
        await Media(client).download(token, tmp_path / "a.png")
    assert caught.value.reaction is reaction


async def test_a_long_name_is_cut_and_keeps_its_suffix(feishu, client, place, tmp_path):
    path = written(tmp_path / "a.png", 10)
    token = await Media(client).upload(path, "长" * 300 + ".png", place)
    name = feishu.drive.media[token].name
    assert len(name) == 250
    assert name.endswith(".png")
