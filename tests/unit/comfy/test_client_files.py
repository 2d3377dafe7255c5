"""Outputs are read from any byte on and never silently short; inputs keep the name they are given."""

import asyncio
from email.parser import BytesParser

import pytest

from daemon import failpoint
from daemon.comfy.connection import Timeouts
from daemon.comfy.server import AnswerLost, FileHead, FileRef, Refused, Unreachable
from tests.fakes.replay import answer, json_answer, recording, replaying, wire_server

PNG = FileRef(node="40", filename="img_00001_.png", subfolder="rows/0067", type="output")
VIDEO = FileRef(node="40", filename="vid_00001_.mp4", subfolder="rows/0068", type="output")
WHOLE = bytes(range(256)) * 40


async def read(client, ref, offset=0):
    """Return where the bytes begin, how long the file is, and the bytes."""
    async with client.open_file(ref, offset) as download:
        got = b"".join([chunk async for chunk in download.chunks()])
        return download.offset, download.total_bytes, got


def serving(whole=WHOLE, *, ranges=True):
    """A server of one file, which heeds ranges or does not."""

    async def serve(request):
        if request.method == "HEAD":
            return answer(200, headers={"Content-Length": str(len(whole))})
        asked = request.headers.get("range")
        if not asked or not ranges:
            return answer(200, whole)
        start = int(asked.removeprefix("bytes=").removesuffix("-"))
        if start >= len(whole):
            return answer(416, headers={"Content-Range": f"bytes */{len(whole)}"})
        span = f"bytes {start}-{len(whole) - 1}/{len(whole)}"
        return answer(206, whole[start:], {"Content-Range": span})

    return serve


async def test_a_file_is_found_with_its_size_and_time(generation, client_of):
    recorded = recording(generation, "view_head")
    ref = FileRef(
        node="40", filename="out_00001_.png", subfolder="tasks/abc-retry-1", type="output"
    )
    async with replaying(recorded) as server:
        head = await client_of(server).find_file(ref)
    assert head == FileHead(size_bytes=1735, last_modified=recorded["headers"]["Last-Modified"])
    assert server.requests[0].method == "HEAD"


async def test_an_unknown_file_is_none_and_cannot_be_opened(generation, client_of):
    recorded = recording(generation, "after_server_restart")["view_next_counter"]
    ref = FileRef(
        node="40", filename="out_00002_.png", subfolder="tasks/abc-retry-1", type="output"
    )
    heads = recorded | {"request": recorded["request"] | {"method": "HEAD"}}
    async with replaying(recorded, heads) as server:
        assert await client_of(server).find_file(ref) is None
        with pytest.raises(FileNotFoundError, match=r"tasks/abc-retry-1/out_00002_\.png"):
            await read(client_of(server), ref)


@pytest.mark.parametrize(
    "ref",
    [
        FileRef(node="1", filename="../../main.py", subfolder="", type="output"),
        FileRef(node="1", filename="img_00001_.png", subfolder="../..", type="output"),
    ],
)
async def test_a_path_out_of_the_servers_folder_is_no_file(generation, client_of, ref):
    status = 400 if "/" in ref.filename else 403
    assert status in [exchange["status"] for exchange in recording(generation, "view")]

    async def refuse(_):
        return answer(status)

    async with wire_server(refuse) as server:
        assert await client_of(server).find_file(ref) is None
        with pytest.raises(FileNotFoundError):
            await read(client_of(server), ref)


@pytest.mark.parametrize("status", [401, 403, 500, 503, 302])
async def test_a_proxy_in_the_way_does_not_make_a_file_missing(client_of, status):
    async def refuse(_):
        return answer(status, headers={"Location": "/login"})

    async with wire_server(refuse) as server:
        with pytest.raises(Unreachable):
            await client_of(server).find_file(PNG)
        with pytest.raises(Unreachable):
            await read(client_of(server), PNG)


async def test_the_recorded_files_arrive_whole(generation, client_of):
    recorded = recording(generation, "view")
    size = int(recorded[2]["headers"]["Content-Length"])
    async with replaying(recorded) as server:
        client = client_of(server)
        offset, total, whole = await read(client, VIDEO)
        assert (offset, total, len(whole)) == (0, size, size)
        offset, total, rest = await read(client, VIDEO, size - 10)  # recorded: 206, 10 bytes
        assert (offset, total, len(rest)) == (size - 10, size, 10)
    assert [request.headers.get("range") for request in server.requests] == [
        None,
        f"bytes={size - 10}-",
    ]
    assert {request.headers["accept-encoding"] for request in server.requests} == {"identity"}


async def test_a_download_goes_on_where_it_stopped(client_of):
    async with wire_server(serving()) as server:
        assert await read(client_of(server), PNG, 1000) == (1000, len(WHOLE), WHOLE[1000:])


async def test_a_server_that_ignores_the_range_is_read_from_the_beginning(client_of):
    async with wire_server(serving(ranges=False)) as server:
        assert await read(client_of(server), PNG, 1000) == (0, len(WHOLE), WHOLE)


async def test_a_part_that_is_already_whole_needs_no_more_bytes(client_of):
    async with wire_server(serving()) as server:
        assert await read(client_of(server), PNG, len(WHOLE)) == (len(WHOLE), len(WHOLE), b"")


async def test_a_part_longer_than_the_file_is_thrown_away(client_of):
    async with wire_server(serving()) as server:
        assert await read(client_of(server), PNG, len(WHOLE) + 1) == (0, len(WHOLE), WHOLE)


async def test_bytes_from_another_place_than_asked_are_not_taken(client_of):
    async def wrong(_):
        return answer(206, WHOLE, {"Content-Range": f"bytes 0-{len(WHOLE) - 1}/{len(WHOLE)}"})

    async with wire_server(wrong) as server:
        with pytest.raises(AnswerLost, match="from 0, not from 7"):
            await read(client_of(server), PNG, 7)


@pytest.mark.parametrize("status", [200, 206])
async def test_bytes_that_end_early_are_an_error_after_all_of_them_were_given(client_of, status):
    async def short(_):
        span = {"Content-Range": f"bytes 5-{len(WHOLE) + 4}/{len(WHOLE) + 5}"}
        return answer(status, WHOLE[:-100], {"Content-Length": str(len(WHOLE))} | span)

    got = []

    async def read_into_got(client):
        async with client.open_file(PNG, 5 if status == 206 else 0) as download:
            async for chunk in download.chunks():
                got.append(chunk)

    async with wire_server(short, drop_after_answer=True) as server:
        with pytest.raises(AnswerLost, match="gpu-a"):
            await read_into_got(client_of(server))
    assert b"".join(got) == WHOLE[:-100]


async def test_a_range_that_ends_before_the_file_does_is_not_the_rest(client_of):
    async def part(_):
        return answer(206, WHOLE[10:20], {"Content-Range": f"bytes 10-19/{len(WHOLE)}"})

    async with wire_server(part) as server:
        with pytest.raises(AnswerLost, match=f"20 of {len(WHOLE)} bytes"):
            await read(client_of(server), PNG, 10)


async def test_a_download_in_which_nothing_arrives_ends(client_of):
    async with wire_server(lambda _: stall()) as server:
        client = client_of(server, timeouts=Timeouts(idle_seconds=0.2))
        with pytest.raises(AnswerLost, match="in time"):
            await read(client, PNG)


async def stall():
    return answer(200, b"x" * 10, {"Content-Length": "1000"})


async def test_a_full_disk_of_ours_is_not_the_servers_fault(client_of):
    async with wire_server(serving()) as server:
        with pytest.raises(OSError, match="No space left"):
            async with client_of(server).open_file(PNG):
                raise OSError(28, "No space left on device")


async def test_a_download_given_up_leaves_nothing_open(client_of):
    async with wire_server(serving(b"x" * 20_000_000)) as server:
        client = client_of(server)
        async with client.open_file(PNG) as download:
            async for _ in download.chunks():
                break
        assert await client.find_file(PNG) is not None


async def test_a_large_file_comes_in_few_and_bounded_pieces(client_of):
    size = 32 * 1024 * 1024
    async with (
        wire_server(serving(bytes(size))) as server,
        client_of(server).open_file(PNG) as download,
    ):
        sizes = [len(chunk) async for chunk in download.chunks()]
    assert sum(sizes) == size
    assert max(sizes) <= 1024 * 1024


@pytest.fixture
def picture(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(WHOLE)
    return path


def parts_of(request):
    """Return the multipart fields of a request: name -> (file name, bytes)."""
    head = f"Content-Type: {request.headers['content-type']}\r\n\r\n".encode()
    message = BytesParser().parsebytes(head + request.body)
    return {
        part.get_param("name", header="content-disposition"): (
            part.get_filename(),
            part.get_payload(decode=True),
        )
        for part in message.get_payload()
    }


async def test_an_upload_goes_to_our_folder_without_overwriting(client_of, picture):
    async def take(_):
        return json_answer({"name": "abc.png", "subfolder": "rowkeeper", "type": "input"})

    reached = []
    async with wire_server(take) as server:
        failpoint.arm(reached.append)
        try:
            assert await client_of(server).upload(picture, "abc.png") == "rowkeeper/abc.png"
        finally:
            failpoint.arm(None)
    parts = parts_of(server.requests[0])
    assert parts["image"] == ("abc.png", WHOLE)
    assert parts["subfolder"][1] == b"rowkeeper"
    assert "overwrite" not in parts
    assert reached == ["comfy.upload.before", "comfy.upload.after"]


async def test_the_name_the_server_gave_counts(generation, client_of, picture):
    recorded = recording(generation, "upload_image")
    async with replaying(recorded) as server:
        client = client_of(server)
        names = [await client.upload(picture, "product.png") for _ in range(4)]
    assert names == ["product.png", "product.png", "product (1).png", "job-1/model.png"]


async def test_a_picture_too_large_for_the_server_is_bad_input(generation, client_of, picture):
    async with replaying(recording(generation, "upload_too_large")) as server:
        with pytest.raises(Refused, match="larger than the server takes") as refusal:
            await client_of(server).upload(picture, "abc.png")
    assert refusal.value.kind == "bad_input"


async def test_a_picture_that_is_gone_from_our_disk_says_so(client_of, tmp_path):
    async with wire_server(serving()) as server:
        with pytest.raises(FileNotFoundError):
            await client_of(server).upload(tmp_path / "gone.png", "gone.png")
    assert server.requests == []


@pytest.mark.parametrize(
    ("said", "error"),
    [
        (None, AnswerLost),
        (answer(500), AnswerLost),
        (answer(200, b"<html>"), AnswerLost),
        (answer(400, b"no"), Refused),
        (answer(401), Unreachable),
        (answer(302, headers={"Location": "/login"}), Unreachable),
    ],
)
async def test_an_upload_that_goes_wrong_is_sent_once(client_of, picture, said, error):
    async def say(_):
        return said

    async with wire_server(say) as server:
        with pytest.raises(error):
            await client_of(server).upload(picture, "abc.png")
    assert len(server.requests) == 1


async def test_an_upload_nobody_answers_ends_by_itself(client_of, picture):
    async def hang(_):
        await asyncio.Event().wait()

    times = Timeouts(upload_seconds=0.2, upload_bytes_per_second=1e9)
    async with wire_server(hang) as server:
        with pytest.raises(AnswerLost, match="in time"):
            await client_of(server, timeouts=times).upload(picture, "abc.png")
