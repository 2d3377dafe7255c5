"""Fetches a result from a server into its ``.part``, and goes on where it was broken off."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import msgspec
import stamina

from daemon import failpoint
from daemon.collect.part import MakeFolder, Part, discard, open_new, write_whole
from daemon.collect.proof import BadOutput
from daemon.comfy.server import AnswerLost, Download, FileHead, FileRef, Unreachable, WorkflowServer
from daemon.durable import make_folder
from daemon.words.recorded import recorded

#: Bytes gathered before a thread is asked to hash and write them; a file of no more is small.
GATHERED_BYTES = 1 << 20


class Fetched(msgspec.Struct, frozen=True, kw_only=True):
    """A file that is whole and on disk, and was accepted."""

    sha256: str
    size_bytes: int


class Patience(msgspec.Struct, frozen=True, kw_only=True):
    """How often, and after which pauses, a broken download is taken up again inside one call."""

    attempts: int = 4
    first_wait_seconds: float = 0.2
    longest_wait_seconds: float = 3.0


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """A file of a server, and where its bytes go.

    *accept* is given the synced part, in the thread that synced it: a small file costs one hop;
    and what was written there, while that is in memory.
    """

    server: WorkflowServer
    ref: FileRef
    part: Path
    begun: bool = True  # False: surely nothing was fetched of it before
    accept: Callable[[Path, bytes | None], None] = lambda _part, _content: None
    make_folder: MakeFolder = make_folder


async def fetch(wanted: Wanted, *, patience: Patience | None = None) -> Fetched:
    """Return the file's hash and size once all its bytes are synced and accepted.

    A crash leaves the beginning of the file; the next call goes on behind it when the server still
    has the same file (size and time of change). Raises what ``accept`` raises, FileNotFoundError
    when the server has no such file, BadOutput when it is empty or its length is not what was
    promised, FileExistsError when something new would get a name that is taken, and Unreachable or
    AnswerLost when *patience* is at its end.
    """
    try:
        return await _try(wanted, may_be_there=wanted.begun)
    except (Unreachable, AnswerLost) as error:
        return await _try_again(wanted, patience or Patience(), error)


async def _try_again(wanted: Wanted, patience: Patience, broken: Exception) -> Fetched:
    """Go on after a first try that was *broken* off; it needed no machinery for more."""
    async for attempt in stamina.retry_context(
        on=(Unreachable, AnswerLost),
        attempts=patience.attempts,
        timeout=None,
        wait_initial=patience.first_wait_seconds,
        wait_max=patience.longest_wait_seconds,
        wait_jitter=patience.first_wait_seconds,
    ):
        with attempt:
            if attempt.num == 1:
                raise broken
            return await _try(wanted, may_be_there=True)
    raise AssertionError("retry_context ends by returning or raising")  # pragma: no cover


async def _try(wanted: Wanted, *, may_be_there: bool) -> Fetched:
    failpoint.reach("download.before_open")
    if may_be_there and await asyncio.to_thread(wanted.part.exists):
        return await _go_on(wanted)
    return await _begin(wanted)


async def _begin(wanted: Wanted) -> Fetched:
    """Fetch a file of which nothing is here; a small one is written in one go."""
    async with wanted.server.open_file(wanted.ref) as download:
        size_bytes = download.total_bytes
        if size_bytes is None:
            head = await _asked_head(wanted)
        else:
            head = FileHead(size_bytes=size_bytes, last_modified=download.last_modified)
        _check_head(wanted, head)
        chunks = _limited(download.chunks(), head.size_bytes)
        if head.size_bytes > GATHERED_BYTES:
            opening = _opening(Part if wanted.begun else open_new, wanted, head)
            return await _complete(wanted, opening, chunks, head)
        gathered = [chunk async for chunk in chunks]
    _check_length(wanted, sum(map(len, gathered)), head)
    sha256 = await asyncio.to_thread(_keep_whole, wanted, gathered)
    return Fetched(sha256=sha256, size_bytes=head.size_bytes)


def _keep_whole(wanted: Wanted, chunks: list[bytes]) -> str:
    content = b"".join(chunks)
    sha256 = write_whole(wanted.part, content, wanted.make_folder)
    wanted.accept(wanted.part, content)
    return sha256


async def _go_on(wanted: Wanted) -> Fetched:
    """Fetch what the part lacks; all of it when the server has another file by now."""
    head = await _asked_head(wanted)
    _check_head(wanted, head)
    opening = _opening(Part, wanted, head)
    try:
        part = await asyncio.shield(opening)
        if part.size_bytes == head.size_bytes:
            return await _complete(wanted, opening, None, head)
        async with wanted.server.open_file(wanted.ref, part.size_bytes) as download:
            await _check_offer(wanted, download, part, head)
            chunks = _limited(download.chunks(), head.size_bytes - part.size_bytes)
            return await _complete(wanted, opening, chunks, head)
    finally:
        await _close(opening)


async def _asked_head(wanted: Wanted) -> FileHead:
    head = await wanted.server.find_file(wanted.ref)
    if head is None:
        raise FileNotFoundError(
            recorded("no_file", server=wanted.server.name, file=wanted.ref.filename)
        )
    return head


def _check_head(wanted: Wanted, head: FileHead) -> None:
    if head.size_bytes == 0:
        raise BadOutput(recorded("empty_there", file=wanted.ref.filename))


def _check_length(wanted: Wanted, size_bytes: int, head: FileHead) -> None:
    if size_bytes != head.size_bytes:
        values = {"file": wanted.ref.filename, "count": size_bytes, "wanted": head.size_bytes}
        raise BadOutput(recorded("wrong_length", **values))


async def _check_offer(wanted: Wanted, download: Download, part: Part, head: FileHead) -> None:
    """Make *part* fit what the server is about to send; raises AnswerLost for another file."""
    name = wanted.ref.filename
    if download.total_bytes not in (None, head.size_bytes):
        raise AnswerLost(recorded("changed_there", file=name))
    if download.offset not in (0, part.size_bytes):
        raise AnswerLost(recorded("sent_file_from", file=name, start=download.offset))
    if download.offset == 0 and part.size_bytes:
        await asyncio.to_thread(part.truncate)


def _opening(
    how: Callable[[Path, FileHead, MakeFolder], Part], wanted: Wanted, head: FileHead
) -> asyncio.Future[Part]:
    loop = asyncio.get_running_loop()
    return loop.run_in_executor(None, how, wanted.part, head, wanted.make_folder)


async def _close(opening: asyncio.Future[Part]) -> None:
    await asyncio.wait([opening])
    if opening.exception() is None:
        await asyncio.to_thread(opening.result().close)


async def _complete(
    wanted: Wanted,
    opening: asyncio.Future[Part],
    chunks: AsyncIterator[bytes] | None,
    head: FileHead,
) -> Fetched:
    """Write the rest of the file, sync and close it; one too long or short is removed."""
    try:
        if chunks is not None:
            await _pour(chunks, opening)
        part = await asyncio.shield(opening)
        _check_length(wanted, part.size_bytes, head)
        sha256 = await asyncio.to_thread(_finish, wanted, part)
        return Fetched(sha256=sha256, size_bytes=head.size_bytes)
    except BadOutput:
        await _close(opening)
        await asyncio.to_thread(discard, wanted.part)
        raise
    finally:
        await _close(opening)


def _finish(wanted: Wanted, part: Part) -> str:
    sha256 = part.finish()
    wanted.accept(wanted.part, None)
    return sha256


async def _limited(chunks: AsyncIterator[bytes], room_bytes: int) -> AsyncIterator[bytes]:
    """Yield the chunks; raises BadOutput when more than *room_bytes* come."""
    async for chunk in chunks:
        room_bytes -= len(chunk)
        if room_bytes < 0:
            raise BadOutput(recorded("too_much"))
        yield chunk


async def _pour(chunks: AsyncIterator[bytes], opening: asyncio.Future[Part]) -> None:
    """Write all chunks; one gathering is written by a thread while the next one is read.

    What arrived before a break is kept.
    """
    loop = asyncio.get_running_loop()
    writing: asyncio.Future[Part] | asyncio.Future[None] = opening
    gathered: list[bytes] = []
    gathered_bytes = 0
    broken: Exception | None = None
    try:
        async for chunk in chunks:
            gathered.append(chunk)
            gathered_bytes += len(chunk)
            if gathered_bytes >= GATHERED_BYTES:
                await asyncio.shield(writing)
                writing = loop.run_in_executor(None, opening.result().write, gathered)
                gathered, gathered_bytes = [], 0
    except (AnswerLost, Unreachable) as error:
        broken = error
    finally:
        await asyncio.wait([writing])
    writing.result()
    await asyncio.to_thread(opening.result().write, gathered)
    if broken is not None:
        raise broken
