"""Files of a server: asks for them by name, reads them from any byte on, and gives it pictures."""

import asyncio
import errno
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from pathlib import Path, PurePosixPath
from typing import BinaryIO

import aiohttp
import msgspec

from daemon import failpoint
from daemon.comfy.connection import Answer, Connection, answered, reason
from daemon.comfy.messages import Uploaded
from daemon.comfy.server import FileHead, FileRef, Refused
from daemon.comfy.wording import cleaned
from daemon.words.recorded import recorded

#: Where our pictures lie in the server's input folder, apart from everybody else's.
INPUT_SUBFOLDER = "rowkeeper"
_CONTENT_RANGE = re.compile(r"bytes (?:(\d+)-\d+|\*)/(\d+|\*)")
#: No fault of the file that is opened: a connection could not be opened either.
_TOO_MANY_FILES = frozenset({errno.EMFILE, errno.ENFILE})
_AS_STORED = {"Accept-Encoding": "identity"}  # ranges and lengths are those of the file


async def find_file(connection: Connection, ref: FileRef) -> FileHead | None:
    """Return the file's head, or None when the server has no such file; raises Unreachable."""
    seconds = connection.timeouts.read_seconds
    times = aiohttp.ClientTimeout(total=seconds, connect=connection.timeouts.connect_seconds)
    async with await connection.response(
        "HEAD", "/view", params=_params(ref), headers=_AS_STORED, timeout=times
    ) as response:
        if _is_missing(response.status, ref):
            return None
        if response.status != HTTPStatus.OK or "Content-Length" not in response.headers:
            raise connection.unreachable(answered("HEAD /view", response.status))
        return FileHead(
            size_bytes=int(response.headers["Content-Length"]),
            last_modified=response.headers.get("Last-Modified"),
        )


class FileDownload:
    """An answer with a file's bytes; see ``server.Download``."""

    def __init__(
        self,
        connection: Connection,
        response: aiohttp.ClientResponse | None,
        offset: int,
        total_bytes: int | None,
    ) -> None:
        self.offset = offset
        self.total_bytes = total_bytes
        self.last_modified = response.headers.get("Last-Modified") if response else None
        self._connection = connection
        self._response = response

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the bytes; raises AnswerLost when they end before the promised length."""
        received_to = self.offset
        if self._response is not None:
            try:
                async for chunk, _ in self._response.content.iter_chunks():  # as they came: no copy
                    failpoint.reach("comfy.download.chunk")
                    received_to += len(chunk)
                    yield chunk
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                raise self._connection.answer_lost("/view", reason(error)) from error
        if self.total_bytes is not None and received_to != self.total_bytes:
            why = recorded("bytes_came", count=received_to, total=self.total_bytes)
            raise self._connection.answer_lost("/view", why)


@asynccontextmanager
async def open_file(
    connection: Connection, ref: FileRef, offset: int
) -> AsyncIterator[FileDownload]:
    """Open a file from byte *offset* on; raises FileNotFoundError, Unreachable.

    When the file is shorter than *offset*, it is read from its beginning.
    """
    failpoint.reach("comfy.download.open")
    async with await _view(connection, ref, offset) as response:
        _must_be_there(connection, response, ref)
        if response.status != HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            yield _download(connection, response, offset)
            return
        _, total_bytes = _content_range(response)
    if total_bytes == offset:  # nothing is missing
        yield FileDownload(connection, None, offset, total_bytes)
        return
    async with await _view(connection, ref, 0) as response:
        _must_be_there(connection, response, ref)
        yield _download(connection, response, 0)


async def _view(connection: Connection, ref: FileRef, offset: int) -> aiohttp.ClientResponse:
    times = connection.timeouts
    return await connection.response(
        "GET",
        "/view",
        params=_params(ref),
        headers=_AS_STORED | ({"Range": f"bytes={offset}-"} if offset else {}),
        timeout=aiohttp.ClientTimeout(
            total=None, connect=times.connect_seconds, sock_read=times.idle_seconds
        ),
    )


def _must_be_there(connection: Connection, response: aiohttp.ClientResponse, ref: FileRef) -> None:
    if _is_missing(response.status, ref):
        raise FileNotFoundError(recorded("no_file", server=connection.name, file=_shown(ref)))


def _download(
    connection: Connection, response: aiohttp.ClientResponse, offset: int
) -> FileDownload:
    length = response.content_length
    if response.status == HTTPStatus.OK:
        return FileDownload(connection, response, 0, length)
    if response.status != HTTPStatus.PARTIAL_CONTENT:
        raise connection.unreachable(answered("/view", response.status))
    start, total_bytes = _content_range(response)
    if start not in (None, offset):
        why = recorded("sent_from", start=start, wanted=offset)
        raise connection.answer_lost("/view", why)
    if total_bytes is None and length is not None:
        total_bytes = offset + length
    return FileDownload(connection, response, offset, total_bytes)


def _content_range(response: aiohttp.ClientResponse) -> tuple[int | None, int | None]:
    """Return where the bytes begin and how long the file is, each None when not told."""
    found = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
    if found is None:
        return None, None
    return (int(found[1]) if found[1] else None), (None if found[2] == "*" else int(found[2]))


def _is_missing(status: int, ref: FileRef) -> bool:
    """Say whether the server denies the file; 403 is a proxy's word unless the path leaves."""
    if status == HTTPStatus.FORBIDDEN:
        path = PurePosixPath(ref.subfolder, ref.filename)
        return path.is_absolute() or ".." in path.parts
    return status in (HTTPStatus.NOT_FOUND, HTTPStatus.BAD_REQUEST)


def _params(ref: FileRef) -> dict[str, str]:
    return {"filename": ref.filename, "subfolder": ref.subfolder, "type": ref.type}


def _shown(ref: FileRef) -> str:
    return f"{ref.subfolder}/{ref.filename}" if ref.subfolder else ref.filename


async def upload(connection: Connection, path: Path, name: str) -> str:
    """Store the picture *path* under *name* and return what LoadImage must be given.

    Without ``overwrite`` the server keeps the same bytes once and gives other bytes another name,
    so repeating it after a crash is harmless. Raises Refused, Unreachable, AnswerLost, and OSError
    when *path* cannot be read.
    """
    size_bytes = (await asyncio.to_thread(path.stat)).st_size
    times = connection.timeouts
    with await _opened(connection, path) as picture:
        form = aiohttp.FormData()
        form.add_field("subfolder", INPUT_SUBFOLDER)
        form.add_field("type", "input")
        form.add_field("image", picture, filename=name, content_type="application/octet-stream")
        failpoint.reach("comfy.upload.before")
        answer = await connection.change(
            "/upload/image",
            form,
            seconds=times.upload_seconds + size_bytes / times.upload_bytes_per_second,
        )
    failpoint.reach("comfy.upload.after")
    return _stored_name(connection, answer, name, size_bytes)


async def _opened(connection: Connection, path: Path) -> BinaryIO:
    try:
        return await asyncio.to_thread(path.open, "rb")
    except OSError as error:
        if error.errno in _TOO_MANY_FILES:
            raise connection.unreachable(reason(error)) from error
        raise


def _stored_name(connection: Connection, answer: Answer, name: str, size_bytes: int) -> str:
    if answer.turned_away:
        raise connection.unreachable(answered("/upload/image", answer.status))
    if answer.status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        too_large = recorded("too_large", file=name, size=size_bytes)
        raise Refused("bad_input", too_large)
    if answer.status != HTTPStatus.OK:
        why = cleaned(answer.body.decode("utf-8", "replace"), 200) or recorded("no_reason")
        not_taken = recorded("not_taken", file=name, status=answer.status, why=why)
        raise Refused("rejected", not_taken)
    try:
        stored = msgspec.json.decode(answer.body, type=Uploaded)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise connection.answer_lost("/upload/image", recorded("not_comfyui")) from error
    return f"{stored.subfolder}/{stored.name}" if stored.subfolder else stored.name
