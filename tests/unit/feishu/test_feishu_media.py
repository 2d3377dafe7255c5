"""Files come whole and without filling the memory."""

import os
import tracemalloc

import pytest

from daemon.feishu.errors import FeishuError, Reaction
from daemon.feishu.media import Media
from daemon.feishu.uploads import ParentType, Place
from tests.fakes.feishu import Column

MIB = 1024 * 1024


@pytest.fixture
def place(feishu):
    base = feishu.base([Column("图", 17)])
    return Place(ParentType.BITABLE_FILE, base.app)


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
    with pytest.raises(FeishuError, match="2 of 3 bytes came"):
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
