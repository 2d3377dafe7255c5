"""Fetches a result from a server into its ``.part``, and goes on where it was broken off."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import stamina

from daemon import failpoint
from daemon.collect.part import Part, discard
from daemon.collect.proof import BadOutput
from daemon.comfy.server import AnswerLost, Download, FileHead, FileRef, Unreachable, WorkflowServer

#: Bytes gathered before a thread is asked to hash and write them.
GATHERED_BYTES = 1 << 20


class Fetched(msgspec.Struct, frozen=True, kw_only=True):
    """A file that is whole and on disk, still under its ``.part`` name."""

    sha256: str
    size_bytes: int


class Patience(msgspec.Struct, frozen=True, kw_only=True):
    """How often, and after which pauses, a broken download is taken up again inside one call."""

    attempts: int = 4
    first_wait_seconds: float = 0.2
    longest_wait_seconds: float = 3.0


async def fetch(
    server: WorkflowServer, ref: FileRef, part: Path, *, patience: Patience | None = None
) -> Fetched:
    """Return the file's hash and size once all its bytes are synced in *part*.

    A crash leaves the beginning of the file; the next call goes on behind it when the server still
    has the same file (size and time of change). Raises FileNotFoundError when the server has no
    such file, BadOutput when it is empty or its length is not what was promised, and Unreachable
    or AnswerLost when *patience* is at its end.
    """
    patience = patience or Patience()
    async for attempt in stamina.retry_context(
        on=(Unreachable, AnswerLost),
        attempts=patience.attempts,
        timeout=None,
        wait_initial=patience.first_wait_seconds,
        wait_max=patience.longest_wait_seconds,
        wait_jitter=patience.first_wait_seconds,
    ):
        with attempt:
            return await _fetch_once(server, ref, part)
    raise AssertionError("retry_context ends by returning or raising")  # pragma: no cover


async def _fetch_once(server: WorkflowServer, ref: FileRef, path: Path) -> Fetched:
    failpoint.reach("download.before_open")
    head = await server.find_file(ref)
    if head is None:
        raise FileNotFoundError(f"server {server.name} has no file {ref.filename}")
    if head.size_bytes == 0:
        raise BadOutput(f"{ref.filename} is empty on the server")
    part = await asyncio.to_thread(Part, path, head)
    try:
        return await _complete(server, ref, part, head)
    except BadOutput:
        await asyncio.to_thread(discard, path)
        raise
    finally:
        await asyncio.to_thread(part.close)


async def _complete(server: WorkflowServer, ref: FileRef, part: Part, head: FileHead) -> Fetched:
    """Fetch what *part* lacks and sync it."""
    if part.size_bytes < head.size_bytes:
        async with server.open_file(ref, part.size_bytes) as download:
            await _check_offer(download, part, head, ref)
            await _pour(download.chunks(), part, head.size_bytes - part.size_bytes)
    if part.size_bytes != head.size_bytes:
        raise BadOutput(f"{ref.filename} has {part.size_bytes} bytes, not {head.size_bytes}")
    return Fetched(sha256=await asyncio.to_thread(part.finish), size_bytes=part.size_bytes)


async def _check_offer(download: Download, part: Part, head: FileHead, ref: FileRef) -> None:
    """Make *part* fit what the server is about to send; raises AnswerLost for another file."""
    if download.total_bytes not in (None, head.size_bytes):
        raise AnswerLost(f"{ref.filename} changed on the server while it was fetched")
    if download.offset not in (0, part.size_bytes):
        raise AnswerLost(f"the server sent {ref.filename} from byte {download.offset}")
    if download.offset == 0 and part.size_bytes:
        await asyncio.to_thread(part.truncate)


async def _pour(chunks: AsyncIterator[bytes], part: Part, room_bytes: int) -> None:
    """Write all chunks; one gathering is written by a thread while the next one is read.

    Raises BadOutput when more than *room_bytes* come. What arrived before a break is kept.
    """
    loop = asyncio.get_running_loop()
    writing: asyncio.Future[None] = loop.create_future()
    writing.set_result(None)
    gathered: list[bytes] = []
    gathered_bytes, wanted_bytes = 0, 1  # the first chunk is written at once
    broken: Exception | None = None
    try:
        async for chunk in chunks:
            gathered.append(chunk)
            gathered_bytes += len(chunk)
            room_bytes -= len(chunk)
            if room_bytes < 0:
                raise BadOutput("the server sends more than it promised")
            if gathered_bytes >= wanted_bytes:
                await asyncio.shield(writing)
                writing = loop.run_in_executor(None, part.write, gathered)
                gathered, gathered_bytes, wanted_bytes = [], 0, GATHERED_BYTES
    except (AnswerLost, Unreachable) as error:
        broken = error
    finally:
        await asyncio.wait([writing])
    writing.result()
    await asyncio.to_thread(part.write, gathered)
    if broken is not None:
        raise broken
