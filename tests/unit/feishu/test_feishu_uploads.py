"""Files go up in order, in parts that outlive the process, or whole when that is wanted."""

import asyncio
import hashlib
import os

import pytest

from daemon import failpoint
from daemon.feishu.errors import FeishuError, Reaction
from daemon.feishu.media import Media
from daemon.feishu.uploads import FileUploads, ParentType, Place
from tests.fakes.feishu import Column

MIB = 1024 * 1024


class Kept:
    """What a process noted of its upload; the next one is given it."""

    def __init__(self):
        self.noted = []

    @property
    def begun(self):
        return self.noted[-1] if self.noted else None

    async def note(self, begun):
        self.noted.append(begun)


class Killed(BaseException):
    """The process is no more."""


@pytest.fixture
def place(feishu):
    base = feishu.base([Column("图", 17)])
    return Place(ParentType.BITABLE_FILE, base.app)


@pytest.fixture
def killed():
    """Return what uploads in a process that dies when it comes to a place the N-th time."""

    async def upload(client, where, number, *args):
        left = number

        def watch(reached):
            nonlocal left
            left -= reached == where
            if not left:
                raise Killed

        failpoint.arm(watch)
        with pytest.raises(Killed):
            await FileUploads(client).upload(*args)
        failpoint.arm(None)

    yield upload
    failpoint.arm(None)


def written(path, size_bytes):
    block = os.urandom(MIB)
    with path.open("wb") as file:
        for _ in range(size_bytes // MIB):
            file.write(block)
        file.write(block[: size_bytes % MIB])
    return path


async def test_a_small_file_goes_in_one_call_when_that_is_wanted(feishu, client, place, tmp_path):
    uploads = FileUploads(client, small_ones_whole=True)
    token = await uploads.upload(written(tmp_path / "a.png", 1000), "图.png", place)
    media = feishu.drive.media[token]
    assert (media.content, media.name) == ((tmp_path / "a.png").read_bytes(), "图.png")
    assert feishu.names() == {"auth.token": 1, "media.upload": 1}


@pytest.mark.parametrize(
    ("size_bytes", "parts"), [(1, 1), (4 * MIB, 1), (4 * MIB + 1, 2), (8 * MIB, 2)]
)
async def test_a_file_goes_in_as_many_parts_as_it_fills_and_each_call_is_counted(
    *, size_bytes, parts, feishu, client, place, tmp_path
):
    path = written(tmp_path / "a.png", size_bytes)
    token = await FileUploads(client).upload(path, "图.png", place)
    media = feishu.drive.media[token]
    assert (media.content == path.read_bytes(), media.name) == (True, "图.png")
    names = {"media.prepare": 1, "media.part": parts, "media.finish": 1}
    assert feishu.names() == {"auth.token": 1, **names}
    assert client.quota.calls == 2 + parts


async def test_an_empty_file_is_refused_for_its_row_without_a_call(feishu, client, place, tmp_path):
    path = written(tmp_path / "a.png", 0)
    for whole in (False, True):
        with pytest.raises(FeishuError) as caught:
            await FileUploads(client, small_ones_whole=whole).upload(path, "a.png", place)
        assert (caught.value.reaction, caught.value.about) == (Reaction.ROW, "file_empty")
    assert feishu.calls == []


async def test_45_mib_go_in_parts_and_a_part_that_fails_is_sent_again(
    feishu, client, place, tmp_path, clock
):
    path = written(tmp_path / "a.mp4", 45 * MIB)
    feishu.fail("media.part", 1061045, status=400)
    feishu.fail("media.part", 1062008, status=400)
    feishu.fail("media.part", status=502, body=b"<html>")
    token = await FileUploads(client).upload(path, "a.mp4", place)
    sent = hashlib.sha256(feishu.drive.media[token].content).digest()
    assert sent == hashlib.sha256(path.read_bytes()).digest()
    assert feishu.count("media.part") == 12 + 3
    assert clock.monotonic() >= (12 + 2) * 0.2


async def test_an_upload_that_feishu_forgot_is_begun_anew_once(feishu, client, place, tmp_path):
    path = written(tmp_path / "a.mp4", 21 * MIB)
    feishu.fail("media.finish", 1061021, status=400)
    assert await FileUploads(client).upload(path, "a.mp4", place)
    feishu.fail("media.finish", 1061021, status=400, times=2)
    with pytest.raises(FeishuError) as caught:
        await FileUploads(client).upload(path, "a.mp4", place)
    assert caught.value.reaction is Reaction.ROW


@pytest.mark.parametrize("together", [False, True])
async def test_many_files_at_once_keep_the_rule_of_five_a_second_or_bow_to_it(
    *, together, feishu, client, place, tmp_path
):
    feishu.counts_media_together = together
    path = written(tmp_path / "a.png", 1000)
    source = feishu.drive.put(b"x" * 1000, "b.png", place.document)
    uploads = FileUploads(client)
    downloads = [Media(client).download(source, tmp_path / f"{n}.png") for n in range(8)]
    await asyncio.gather(*(uploads.upload(path, "a.png", place) for _ in range(8)), *downloads)
    assert len(feishu.drive.uploaded(place.document)) == 8 + 1
    assert {call.code for call in feishu.calls} == ({0, 1061045} if together else {0})


@pytest.mark.parametrize("small_ones_whole", [False, True])
async def test_small_files_go_as_fast_in_parts_as_whole(
    *, small_ones_whole, feishu, client, place, tmp_path, clock
):
    path = written(tmp_path / "a.png", 1000)
    uploads, began = FileUploads(client, small_ones_whole=small_ones_whole), clock.monotonic()
    for _ in range(20):
        await uploads.upload(path, "a.png", place)
    assert clock.monotonic() - began < 20 * 0.22
    assert {call.code for call in feishu.calls} == {0}


async def test_a_long_name_is_cut_and_keeps_its_suffix(feishu, client, place, tmp_path):
    path = written(tmp_path / "a.png", 10)
    token = await FileUploads(client).upload(path, "长" * 300 + ".png", place)
    name = feishu.drive.media[token].name
    assert len(name) == 250
    assert name.endswith(".png")


def content_of(feishu, token):
    return hashlib.sha256(feishu.drive.media[token].content).digest()


@pytest.mark.parametrize(
    ("where", "number", "parts"),
    [
        ("feishu.upload.begun", 1, 6),  # the first upload was not noted, and holds nothing
        ("feishu.upload.part", 3, 7),  # the part that was not noted is sent again
        ("feishu.upload.after", 1, 6),
    ],
)
async def test_an_upload_in_parts_goes_on_where_a_kill_ended_it_and_makes_one_file(
    *, where, number, parts, feishu, client, place, tmp_path, killed
):
    path, kept = written(tmp_path / "a.mp4", 21 * MIB), Kept()
    await killed(client, where, number, path, "a.mp4", place, kept)
    token = await FileUploads(client).upload(path, "a.mp4", place, kept)
    assert content_of(feishu, token) == hashlib.sha256(path.read_bytes()).digest()
    assert feishu.drive.uploaded(place.document) == ["a.mp4"]
    assert feishu.count("media.part") == parts
    assert feishu.count("media.prepare") == (2 if where == "feishu.upload.begun" else 1)


@pytest.mark.parametrize("size_bytes", [21 * MIB - 1, 21 * MIB, 21 * MIB + 1, 9])
async def test_a_file_that_changed_before_all_its_parts_were_sent_goes_up_as_it_is_now(
    *, size_bytes, feishu, client, place, tmp_path, killed
):
    path, kept = written(tmp_path / "a.mp4", 21 * MIB), Kept()
    await killed(client, "feishu.upload.part_noted", 3, path, "a.mp4", place, kept)
    written(path, size_bytes)
    token = await FileUploads(client).upload(path, "a.mp4", place, kept)
    assert content_of(feishu, token) == hashlib.sha256(path.read_bytes()).digest()
    assert feishu.drive.uploaded(place.document) == ["a.mp4"]


async def test_a_small_file_begun_in_parts_ends_so_though_the_setting_says_whole_by_now(
    feishu, client, place, tmp_path, killed
):
    path, kept = written(tmp_path / "a.png", 1000), Kept()
    await killed(client, "feishu.upload.after", 1, path, "a.png", place, kept)
    await FileUploads(client, small_ones_whole=True).upload(path, "a.png", place, kept)
    assert feishu.drive.uploaded(place.document) == ["a.png"]


async def test_a_file_that_changed_once_all_its_parts_were_sent_is_not_uploaded_again(
    feishu, client, place, tmp_path, killed
):
    path, kept = written(tmp_path / "a.mp4", 5 * MIB), Kept()
    sent = hashlib.sha256(path.read_bytes()).digest()
    await killed(client, "feishu.upload.after", 1, path, "a.mp4", place, kept)
    written(path, MIB)
    token = await FileUploads(client).upload(path, "a.mp4", place, kept)
    assert content_of(feishu, token) == sent
    assert feishu.drive.uploaded(place.document) == ["a.mp4"]


@pytest.mark.parametrize("code", [None, 1061021, 1061002, 1061003, 1062011, 1062007, 1069999])
async def test_when_feishu_refuses_to_finish_twice_the_file_is_uploaded_anew(
    *, code, feishu, client, place, tmp_path, killed
):
    path, kept = written(tmp_path / "a.mp4", 21 * MIB), Kept()
    await killed(client, "feishu.upload.after", 1, path, "a.mp4", place, kept)
    feishu.drive.repeats_finish = False
    if code is not None:
        feishu.fail("media.finish", code, status=400, times=2 if code == 1069999 else 1)
    token = await FileUploads(client).upload(path, "a.mp4", place, kept)
    assert content_of(feishu, token) == hashlib.sha256(path.read_bytes()).digest()
    assert feishu.drive.uploaded(place.document) == ["a.mp4"] * 2
    assert kept.begun.parts_sent == kept.begun.block_num == 6


async def test_a_file_that_feishu_refuses_is_not_sent_twice(
    feishu, client, place, tmp_path, killed
):
    path, kept = written(tmp_path / "a.mp4", 21 * MIB), Kept()
    await killed(client, "feishu.upload.part", 6, path, "a.mp4", place, kept)
    feishu.fail("media.finish", 1061113, status=400)
    with pytest.raises(FeishuError) as caught:
        await FileUploads(client).upload(path, "a.mp4", place, kept)
    assert (caught.value.about, feishu.count("media.part")) == ("content_check", 7)


async def test_a_lost_answer_to_the_finish_makes_no_second_file(feishu, client, place, tmp_path):
    path, kept = written(tmp_path / "a.mp4", 21 * MIB), Kept()
    feishu.fail("media.finish", drops=True, after=True, times=9)
    with pytest.raises(FeishuError):
        await FileUploads(client).upload(path, "a.mp4", place, kept)
    feishu.mend()
    await FileUploads(client).upload(path, "a.mp4", place, kept)
    assert feishu.drive.uploaded(place.document) == ["a.mp4"]


async def test_an_upload_that_is_a_day_old_is_begun_anew(feishu, client, place, tmp_path, clock):
    path, kept = written(tmp_path / "a.mp4", 21 * MIB), Kept()
    feishu.fail("media.part", 1061113, status=400)
    with pytest.raises(FeishuError):
        await FileUploads(client).upload(path, "a.mp4", place, kept)
    await clock.pause(24 * 3600 + 1)
    await FileUploads(client).upload(path, "a.mp4", place, kept)
    assert feishu.drive.uploaded(place.document) == ["a.mp4"]
    assert feishu.count("media.prepare") == 2


@pytest.mark.parametrize("small_ones_whole", [False, True])
async def test_a_lost_answer_makes_a_small_file_go_up_twice_only_when_it_goes_whole(
    small_ones_whole, feishu, client, place, tmp_path
):
    path, kept = written(tmp_path / "a.png", 1000), Kept()
    feishu.fail("media.upload" if small_ones_whole else "media.finish", drops=True, after=True)
    uploads = FileUploads(client, small_ones_whole=small_ones_whole)
    await uploads.upload(path, "a.png", place, kept)
    assert len(feishu.drive.uploaded(place.document)) == (2 if small_ones_whole else 1)
    assert [begun.parts_sent for begun in kept.noted] == ([] if small_ones_whole else [0, 1])
