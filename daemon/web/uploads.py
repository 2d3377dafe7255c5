"""A job file with its pictures, as they stream in: into a folder of their own, within limits."""

import asyncio
import hashlib
import secrets
import shutil
from pathlib import Path, PurePosixPath
from typing import BinaryIO

import msgspec
from aiohttp import BodyPartReader, web
from aiohttp.http_exceptions import HttpProcessingError

from daemon.folders import make_below
from daemon.intake.jobfile import JOB_SUFFIXES, MAX_JOB_FILE_BYTES
from daemon.intake.picture_store import MAX_PICTURE_BYTES
from daemon.web.limits import too_large
from daemon.web.refusal import Refusal

MAX_PICTURES = 2000
MAX_UPLOAD_BYTES = 4 * 1024**3
#: A client that sends nothing for so long is gone.
STALLED_SECONDS = 60.0
_CHUNK_BYTES = 256 * 1024
_MAX_NAME_BYTES = 255


class Upload(msgspec.Struct, frozen=True, kw_only=True):
    """What came: the job file's name and bytes, the folder of its pictures, a hash of it all."""

    name: str
    job: bytes
    folder: Path
    sha256: str


def new_folder(root: Path) -> Path:
    """Make a folder below *root* for one upload and return it. Blocks."""
    folder = root / secrets.token_hex(12)
    root.mkdir(exist_ok=True)  # in the state folder, which is not ours to make anew
    folder.mkdir()
    return folder


def clear(root: Path) -> None:
    """Remove what uploads before the last start left behind. Blocks."""
    shutil.rmtree(root, ignore_errors=True)


async def receive(request: web.BaseRequest, folder: Path) -> Upload:
    """Store the pictures of a multipart body in *folder* and return its job file.

    The job file is the part ``job``, or the first one of a job file's kind. Raises Refusal; the
    caller removes the folder.
    """
    job: tuple[str, bytes] | None = None
    hashes: dict[str, str] = {}
    total_bytes = 0
    try:
        async for part in await request.multipart():
            if not isinstance(part, BodyPartReader) or not part.filename:
                raise Refusal("bad_part", 400)
            _refuse_encoded(part)
            name = safe_name(part.filename)
            if name in hashes:
                raise Refusal("same_name", 400, name=name)
            if len(hashes) > MAX_PICTURES:
                raise Refusal("too_many_files", 413, limit=MAX_PICTURES)
            is_job = part.name == "job" or PurePosixPath(name).suffix.lower() in JOB_SUFFIXES
            if is_job and job is not None:
                raise Refusal("two_job_files", 400, names=[job[0], name])
            allowed = min(
                MAX_JOB_FILE_BYTES if is_job else MAX_PICTURE_BYTES, MAX_UPLOAD_BYTES - total_bytes
            )
            if is_job:
                content = await _read(part, allowed)
                job, hashes[name] = (name, content), hashlib.sha256(content).hexdigest()
                total_bytes += len(content)
            else:
                hashes[name], size_bytes = await _store(part, folder, name, allowed)
                total_bytes += size_bytes
    except TimeoutError as error:
        raise Refusal("body_too_slow", 408, seconds=STALLED_SECONDS) from error
    except (ValueError, AssertionError, HttpProcessingError) as error:  # aiohttp of a broken body
        raise Refusal("bad_multipart", 400, what=str(error)[:200]) from error
    if job is None:
        raise Refusal("no_job_file", 400, kinds=[*sorted(JOB_SUFFIXES)])
    return Upload(name=job[0], job=job[1], folder=folder, sha256=_hash_of(hashes))


def safe_name(filename: str) -> str:
    """Return *filename* as a relative path that stays in its folder; raises Refusal."""
    name = filename.replace("\\", "/")
    parts = name.split("/")
    for part in parts:
        fits = 0 < len(part.encode("utf-8", "surrogateescape")) <= _MAX_NAME_BYTES
        if not fits or part in (".", "..") or not part.isprintable():
            raise Refusal("bad_file_name", 400, name=filename[:200])
    return name


def _refuse_encoded(part: BodyPartReader) -> None:
    """Raise Refusal for a part that is packed: unpacked it could be of any size."""
    encoding = part.headers.get("Content-Transfer-Encoding", "binary").lower()
    if "Content-Encoding" in part.headers or encoding not in ("binary", "8bit", "7bit"):
        raise Refusal("bad_multipart", 400, what="a part has a content encoding")


async def _read(part: BodyPartReader, limit_bytes: int) -> bytes:
    content = bytearray()
    while chunk := await _next(part):
        content += chunk
        if len(content) > limit_bytes:
            raise too_large(limit_bytes)
    return bytes(content)


async def _store(
    part: BodyPartReader, folder: Path, name: str, limit_bytes: int
) -> tuple[str, int]:
    """Write the part to *name* in *folder*; returns its sha256 and size."""
    digest, size_bytes = hashlib.sha256(), 0
    file = await asyncio.to_thread(_open, folder, name)
    try:
        while chunk := await _next(part):
            size_bytes += len(chunk)
            if size_bytes > limit_bytes:
                raise too_large(limit_bytes)
            digest.update(chunk)
            await asyncio.to_thread(file.write, chunk)
    finally:
        await asyncio.to_thread(file.close)
    return digest.hexdigest(), size_bytes


async def _next(part: BodyPartReader) -> bytes:
    async with asyncio.timeout(STALLED_SECONDS):
        return await part.read_chunk(_CHUNK_BYTES)


def _open(folder: Path, name: str) -> BinaryIO:
    path = folder / name
    make_below(folder, path.parent)
    return path.open("xb")


def _hash_of(hashes: dict[str, str]) -> str:
    return hashlib.sha256(msgspec.json.encode(hashes, order="sorted")).hexdigest()
