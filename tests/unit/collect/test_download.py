"""Fetching results from servers, good and hostile ones."""

import asyncio
import hashlib
import random
import socket
from collections import deque
from pathlib import Path

import msgspec
import pytest
from aiohttp import web

from daemon import failpoint
from daemon.clock import SystemClock
from daemon.collect.download import Fetched, Patience, Wanted
from daemon.collect.download import fetch as fetch_wanted
from daemon.collect.part import WRITE_BACK_BYTES, Note, Part, discard
from daemon.collect.proof import BadOutput
from daemon.comfy.client import ComfyClient
from daemon.comfy.server import AnswerLost, FileHead, FileRef, Unreachable

REF = FileRef(node="40", filename="img_00001_.png", subfolder="rowkeeper/img_1-1", type="output")
QUICK = Patience(attempts=3, first_wait_seconds=0.001, longest_wait_seconds=0.002)
ONCE = Patience(attempts=1)
CONTENT = random.Random(7).randbytes(3_000_001)


class HostileServer:
    """Serves one file by ``/view``; ``faults`` are taken one per GET."""

    def __init__(self):
        self.content = CONTENT
        self.modified = "Sat, 21 Nov 2026 21:19:23 GMT"
        self.honours_range = True
        self.faults = deque()
        self.asked = []  # offsets of the GETs
        self.heads = 0
        self.url = ""

    async def view(self, request):
        if request.method == "HEAD":
            self.heads += 1
            return self._head()
        start = 0
        if self.honours_range and "Range" in request.headers:
            start = request.http_range.start
        self.asked.append(request.http_range.start or 0)
        fault = self.faults.popleft() if self.faults else None
        if fault == "gone":
            return web.Response(status=404)
        return await self._send(request, start, fault)

    def _head(self):
        headers = {"Content-Length": str(len(self.content)), "Last-Modified": self.modified}
        return web.Response(headers=headers)

    async def _send(self, request, start, fault):
        body = self.content[start:]
        if fault == "short_promise":
            body = body[: len(body) // 2]
        response = web.StreamResponse(status=206 if start else 200)
        response.headers["Last-Modified"] = self.modified
        if start:
            end, total = start + len(body) - 1, len(self.content)
            response.headers["Content-Range"] = f"bytes {start}-{end}/{total}"
        if fault == "endless":
            response.enable_chunked_encoding()
            body += b"x" * 10
        else:
            response.content_length = len(body)
        await response.prepare(request)
        if isinstance(fault, int):
            await response.write(body[:fault])
            request.transport.close()
            return response
        await response.write(body)
        return response


@pytest.fixture
async def server():
    hostile = HostileServer()
    app = web.Application()
    app.router.add_route("*", "/view", hostile.view)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    hostile.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield hostile
    await runner.cleanup()


@pytest.fixture
async def client(server):
    client = ComfyClient("gpu-a", server.url, clock=SystemClock())
    yield client
    await client.close()


@pytest.fixture
def part(tmp_path):
    return tmp_path / "out" / "batch" / "0067.png.part"


async def fetch(server, ref, part, *, patience=None, **more):
    return await fetch_wanted(Wanted(server=server, ref=ref, part=part, **more), patience=patience)


def sha256(content):
    return hashlib.sha256(content).hexdigest()


def fetched(content=CONTENT):
    return Fetched(sha256=sha256(content), size_bytes=len(content))


async def test_a_whole_file_is_fetched_with_its_hash(server, client, part):
    assert await fetch(client, REF, part) == fetched()
    assert part.read_bytes() == CONTENT
    assert server.asked == [0]


async def test_a_broken_download_goes_on_where_it_stopped(server, client, part):
    server.faults.extend([1_500_000, 700_000])
    assert await fetch(client, REF, part, patience=QUICK) == fetched()
    assert part.read_bytes() == CONTENT
    first, second, third = server.asked
    assert first == 0 < second < third
    assert second >= 1_000_000


async def test_a_new_call_resumes_what_an_earlier_one_left(server, client, part):
    server.faults.append(2_000_000)
    with pytest.raises(AnswerLost):
        await fetch(client, REF, part, patience=ONCE)
    kept = part.stat().st_size
    assert kept > 1_000_000
    assert await fetch(client, REF, part, patience=ONCE) == fetched()
    assert server.asked == [0, kept]


async def test_a_part_that_is_whole_is_not_fetched_again(server, client, part):
    await fetch(client, REF, part)
    assert await fetch(client, REF, part) == fetched()
    assert server.asked == [0]


async def test_a_server_that_ignores_ranges_sends_all_again(server, client, part):
    server.honours_range = False
    server.faults.append(2_000_000)
    assert await fetch(client, REF, part, patience=QUICK) == fetched()
    assert part.read_bytes() == CONTENT


async def test_a_file_of_another_size_is_fetched_anew(server, client, part):
    server.faults.append(2_000_000)
    with pytest.raises(AnswerLost):
        await fetch(client, REF, part, patience=ONCE)
    server.content = CONTENT[::-1] + b"more"
    assert await fetch(client, REF, part, patience=ONCE) == fetched(server.content)
    assert server.asked == [0, 0]


async def test_a_file_changed_later_but_of_the_same_size_is_fetched_anew(server, client, part):
    server.faults.append(2_000_000)
    with pytest.raises(AnswerLost):
        await fetch(client, REF, part, patience=ONCE)
    server.content, server.modified = CONTENT[::-1], "Sat, 21 Nov 2026 21:20:00 GMT"
    assert await fetch(client, REF, part, patience=ONCE) == fetched(server.content)
    assert server.asked == [0, 0]


@pytest.mark.parametrize("spoil", ["note gone", "note torn", "other boot", "part too long"])
async def test_a_part_of_unsure_origin_is_thrown_away(server, client, part, spoil):
    server.faults.append(2_000_000)
    with pytest.raises(AnswerLost):
        await fetch(client, REF, part, patience=ONCE)
    note = part.with_name(f"{part.name}.note")
    if spoil == "note gone":
        note.unlink()
    elif spoil == "note torn":
        note.write_bytes(note.read_bytes()[:10])
    elif spoil == "other boot":
        before = msgspec.json.decode(note.read_bytes(), type=Note)
        note.write_bytes(msgspec.json.encode(msgspec.structs.replace(before, boot_id="other")))
    else:
        part.write_bytes(b"x" * (len(CONTENT) + 1))
    assert await fetch(client, REF, part, patience=ONCE) == fetched()
    assert part.read_bytes() == CONTENT
    assert server.asked == [0, 0]


async def test_an_answer_shorter_than_the_file_is_never_taken_for_the_whole(server, client, part):
    server.faults.extend([2_000_000, "short_promise", "short_promise"])
    with pytest.raises(AnswerLost, match="bytes came"):
        await fetch(client, REF, part, patience=QUICK)
    assert await fetch(client, REF, part, patience=QUICK) == fetched()


@pytest.mark.parametrize("size_bytes", [1, 100_000, 2_000_000])
async def test_a_new_file_is_asked_for_once(server, client, part, size_bytes):
    server.content = CONTENT[:size_bytes]
    assert await fetch(client, REF, part, begun=False) == fetched(server.content)
    assert part.read_bytes() == server.content
    assert (server.asked, server.heads) == ([0], 0)


async def test_a_small_file_that_breaks_off_leaves_nothing_and_is_asked_for_again(
    server, client, part
):
    server.content = CONTENT[:100_000]
    server.faults.append(50_000)
    with pytest.raises(AnswerLost):
        await fetch(client, REF, part, patience=ONCE)
    assert not part.exists()
    assert await fetch(client, REF, part, patience=ONCE) == fetched(server.content)


async def test_a_server_that_sends_without_end_is_stopped(server, client, part):
    server.faults.append("endless")
    with pytest.raises(BadOutput, match="more than it promised"):
        await fetch(client, REF, part, patience=QUICK)
    assert list(part.parent.iterdir()) == []


async def test_an_empty_file_is_bad(server, client, part):
    server.content = b""
    with pytest.raises(BadOutput, match="empty"):
        await fetch(client, REF, part, patience=QUICK)


async def test_a_file_that_vanishes_is_told_apart_from_a_lost_answer(server, client, part):
    server.faults.append("gone")
    with pytest.raises(FileNotFoundError):
        await fetch(client, REF, part, patience=QUICK)


async def test_patience_with_a_server_has_an_end(server, client, part):
    server.faults.extend([1000] * 3)
    with pytest.raises(AnswerLost):
        await fetch(client, REF, part, patience=QUICK)
    assert len(server.asked) == 3


async def test_a_dead_server_is_unreachable_and_no_file_is_begun(part):
    with socket.socket() as taken:  # bound, but nobody listens
        taken.bind(("127.0.0.1", 0))
        client = ComfyClient(
            "gpu-b", f"http://127.0.0.1:{taken.getsockname()[1]}", clock=SystemClock()
        )
        with pytest.raises(Unreachable):
            await fetch(client, REF, part, patience=QUICK)
        await client.close()
    assert not part.exists()


async def test_a_cancelled_download_leaves_a_beginning_that_is_resumed(client, part):
    reached = asyncio.Event()
    loop = asyncio.get_running_loop()

    def watch(name):
        if name == "download.in_the_middle":
            loop.call_soon_threadsafe(reached.set)

    failpoint.arm(watch)
    try:
        job = asyncio.create_task(fetch(client, REF, part))
        await reached.wait()
        job.cancel()
        await asyncio.wait([job])
    finally:
        failpoint.arm(None)
    assert CONTENT.startswith(part.read_bytes())
    assert await fetch(client, REF, part) == fetched()


async def test_every_place_where_a_kill_could_strike_is_named(client, part):
    reached = []
    failpoint.arm(reached.append)
    try:
        await fetch(client, REF, part)
    finally:
        failpoint.arm(None)
    ours = [name for name in dict.fromkeys(reached) if name.startswith("download.")]
    assert ours == [
        "download.before_open",
        "download.in_the_middle",
        "download.before_fsync",
        "download.after_fsync",
    ]


async def test_many_files_at_once_keep_apart(server, client, tmp_path):
    parts = [tmp_path / f"{n}.png.part" for n in range(8)]
    server.faults.extend([100_000 * n + 1 for n in range(8)])
    found = await asyncio.gather(*(fetch(client, REF, one, patience=QUICK) for one in parts))
    assert found == [fetched()] * 8
    assert {sha256(one.read_bytes()) for one in parts} == {sha256(CONTENT)}


@pytest.mark.parametrize("chunk_bytes", [10_000, 300_000])
def test_chunks_of_any_size_are_hashed_and_kept_in_their_order(part, chunk_bytes):
    content = CONTENT * 4  # so much that the disk begins before its end
    assert len(content) > WRITE_BACK_BYTES
    chunks = [content[at : at + chunk_bytes] for at in range(0, len(content), chunk_bytes)]
    growing = Part(part, FileHead(size_bytes=len(content), last_modified=None))
    for at in range(0, len(chunks), 20):
        growing.write(chunks[at : at + 5])
        growing.write(chunks[at + 5 : at + 20])
    assert (growing.size_bytes, growing.finish()) == (len(content), sha256(content))
    growing.close()
    assert part.read_bytes() == content


def test_discarding_what_is_not_there_is_no_error(tmp_path):
    other = tmp_path / "other.part"
    other.write_bytes(b"kept")
    discard(Path(tmp_path / "none.part"))
    assert list(tmp_path.iterdir()) == [other]
