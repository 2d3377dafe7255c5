"""Files put into a document: in parts that outlive a kill, or small ones whole in one call.

Source: drive v1 media. In parts of the size that the server says (4 MiB); its sample prepares a
file of 1,024 bytes, so small ones may go in parts as well: three calls. Not two uploads side by
side (see ``limits``). An upload in parts lives 24 hours at Feishu, which advises to keep its id and
how far it got; ``Memory`` does. A whole one, of at most 20 MB, has no id: when its answer is lost,
nobody can know, and it is sent again.
"""

import asyncio
import zlib
from collections.abc import Callable
from enum import StrEnum
from io import BytesIO
from pathlib import Path
from typing import Protocol

import aiohttp
import msgspec
import structlog

from daemon import failpoint
from daemon.feishu.client import Api, Client, Nothing
from daemon.feishu.errors import FeishuError, Reaction

log = structlog.get_logger()

WHOLE_BYTES = 20 * 1024 * 1024
_NAME_CHARACTERS = 250

_WHOLE = Api("media.upload", "POST", "/open-apis/drive/v1/medias/upload_all", is_media=True)
_PREPARE = Api("media.prepare", "POST", "/open-apis/drive/v1/medias/upload_prepare", is_media=True)
_PART = Api("media.part", "POST", "/open-apis/drive/v1/medias/upload_part", is_media=True)
_FINISH = Api("media.finish", "POST", "/open-apis/drive/v1/medias/upload_finish", is_media=True)

#: What Feishu says of an upload that it does not know any more.
_EXPIRED = frozenset({"upload_expired"})
#: What it may say of one that was finished, or begun by another app: no page tells which.
_PERHAPS_EXPIRED = _EXPIRED | {"request", "no_document", "foreign_file", "unknown"}


class ParentType(StrEnum):
    """What kind of document a file goes to."""

    BITABLE_IMAGE = "bitable_image"
    BITABLE_FILE = "bitable_file"
    SHEET_IMAGE = "sheet_image"
    SHEET_FILE = "sheet_file"


class Place(msgspec.Struct, frozen=True):
    """The document that an uploaded file belongs to; its token works nowhere else."""

    parent_type: ParentType
    document: str

    @property
    def extra(self) -> str:
        """What the documentation asks for in the form field of this name."""
        return msgspec.json.encode({"drive_route_token": self.document}).decode()


class Begun(msgspec.Struct, frozen=True):
    """An upload in parts that Feishu expects, how many of them it has, and of which file."""

    upload_id: str
    block_size: int
    block_num: int
    parts_sent: int = 0
    size_bytes: int = 0  # of the file as it was when the upload was begun
    modified_ns: int = 0  # likewise, since the epoch

    @property
    def is_sent(self) -> bool:
        """Whether Feishu has all parts, so that it may have made a file of them."""
        return self.parts_sent >= self.block_num


class Memory(Protocol):
    """What is known of the upload of one file from earlier tries and processes."""

    @property
    def begun(self) -> Begun | None:
        """The upload as far as it was noted; None when none is under way."""
        ...

    async def note(self, begun: Begun) -> None:
        """Note *begun*; it survives a kill from the return on."""
        ...


class Forgetful:
    """The memory of an upload that begins anew after a kill."""

    begun: Begun | None = None

    async def note(self, begun: Begun) -> None:
        """Keep nothing."""


class _Uploaded(msgspec.Struct, frozen=True):
    """A file that Feishu has."""

    file_token: str


class _File(msgspec.Struct, frozen=True):
    """What is uploaded, under which name and where to."""

    path: Path
    name: str
    size_bytes: int
    modified_ns: int
    place: Place

    def is_source_of(self, begun: Begun) -> bool:
        """Say whether the parts of *begun* came from the file as it is now."""
        return (begun.size_bytes, begun.modified_ns) == (self.size_bytes, self.modified_ns)

    @property
    def told(self) -> dict[str, str | int]:
        """What every kind of upload is told first."""
        return {
            "file_name": self.name,
            "parent_type": self.place.parent_type.value,
            "parent_node": self.place.document,
            "size": self.size_bytes,
            "extra": self.place.extra,
        }


class FileUploads:
    """Uploads files for one app, one after the other."""

    def __init__(self, client: Client, *, small_ones_whole: bool = False) -> None:
        """*small_ones_whole*: one call instead of three, but twice when an answer is lost."""
        self._client = client
        self._whole_bytes = WHOLE_BYTES if small_ones_whole else 0
        self._one_upload = asyncio.Lock()

    async def upload(
        self, path: Path, name: str, place: Place, memory: Memory | None = None
    ) -> str:
        """Upload the file and return its token; raises FeishuError, OSError, what *memory* raises.

        In parts, a later call with the same *memory* goes on where this one ended. Whole, a lost
        answer leaves a file at Feishu that no document names. An empty file is refused as a row's.
        """
        async with self._one_upload:
            found = await asyncio.to_thread(path.stat)
            file = _File(path, _short(name), found.st_size, found.st_mtime_ns, place)
            if not file.size_bytes:  # it has no part to send, and Feishu might blame the table
                raise FeishuError(Reaction.ROW, "file_empty", call=_PREPARE.name)
            failpoint.reach("feishu.upload.before")
            known = memory or Forgetful()
            if file.size_bytes <= self._whole_bytes and known.begun is None:
                token = await self._whole(file)
            else:
                token = await self._in_parts(file, known)
            failpoint.reach("feishu.upload.after")
            return token

    async def _whole(self, file: _File) -> str:
        content = await asyncio.to_thread(_read, file.path, 0, file.size_bytes)
        fields = {key: str(value) for key, value in file.told.items()}
        fields["checksum"] = str(await asyncio.to_thread(zlib.adler32, content))
        body = _form(fields, file.name, content)
        return (await self._client.call(_WHOLE, _Uploaded, body=body)).file_token

    async def _in_parts(self, file: _File, memory: Memory) -> str:
        """Upload in parts; when Feishu has forgotten the upload, once more from the beginning.

        Of an upload that lacks parts no file was made: it is let go when ours has changed since.
        """
        begun = memory.begun
        if begun is not None and not begun.is_sent and not file.is_source_of(begun):
            begun = None
        expired = _EXPIRED if begun is None else _PERHAPS_EXPIRED
        try:
            return await self._finished(file, begun or await self._begin(file, memory), memory)
        except FeishuError as error:
            if error.about not in expired:
                raise
            log.info("feishu.upload_begun_anew", file=file.name, error=str(error))
        return await self._finished(file, await self._begin(file, memory), memory)

    async def _begin(self, file: _File, memory: Memory) -> Begun:
        """Ask for an upload in parts and note it before anything is sent."""
        body = msgspec.json.encode(file.told)
        answer = await self._client.call(_PREPARE, Begun, body=body)
        failpoint.reach("feishu.upload.begun")
        begun = msgspec.structs.replace(
            answer, size_bytes=file.size_bytes, modified_ns=file.modified_ns
        )
        await memory.note(begun)
        failpoint.reach("feishu.upload.begun_noted")
        return begun

    async def _finished(self, file: _File, begun: Begun, memory: Memory) -> str:
        """Send the parts that are missing, and return the file's token.

        A part that was sent but not noted is sent again, as after a lost answer.
        """
        for seq in range(begun.parts_sent, begun.block_num):
            await self._send_part(file, begun, seq)
            failpoint.reach("feishu.upload.part")
            await memory.note(msgspec.structs.replace(begun, parts_sent=seq + 1))
            failpoint.reach("feishu.upload.part_noted")
        finish = {"upload_id": begun.upload_id, "block_num": begun.block_num}
        body = msgspec.json.encode(finish)
        return (await self._client.call(_FINISH, _Uploaded, body=body)).file_token

    async def _send_part(self, file: _File, begun: Begun, seq: int) -> None:
        offset = seq * begun.block_size
        length = min(begun.block_size, file.size_bytes - offset)
        content = await asyncio.to_thread(_read, file.path, offset, length)
        fields = {
            "upload_id": begun.upload_id,
            "seq": str(seq),
            "size": str(length),
            "checksum": str(await asyncio.to_thread(zlib.adler32, content)),
        }
        await self._client.call(_PART, Nothing, body=_form(fields, file.name, content))


def _form(fields: dict[str, str], name: str, content: bytes) -> Callable[[], aiohttp.FormData]:
    """Return what makes the form; the file stands last in it, as the official samples have it."""

    def make() -> aiohttp.FormData:
        form = aiohttp.FormData()
        for field, value in fields.items():
            form.add_field(field, value)
        kind = "application/octet-stream"
        form.add_field("file", BytesIO(content), filename=name, content_type=kind)
        return form

    return make


def _read(path: Path, offset: int, length: int) -> bytes:
    with path.open("rb") as file:
        file.seek(offset)
        return file.read(length)


def _short(name: str) -> str:
    """Return *name* within the 250 characters that Feishu takes, its suffix kept."""
    if len(name) <= _NAME_CHARACTERS:
        return name
    suffix = Path(name).suffix[:16]
    return name[: _NAME_CHARACTERS - len(suffix)] + suffix
