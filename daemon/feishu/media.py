"""Files: uploaded whole or in parts, downloaded as a stream.

Source: drive v1 media. At most 20 MB in one call, larger ones in parts of the size that the server
says; no uploads side by side (see ``limits``). An upload's progress lives 24 hours at Feishu; ours
is not kept, so a killed upload begins anew and the old one is forgotten there.
"""

import asyncio
import zlib
from collections.abc import Callable
from enum import StrEnum
from http import HTTPStatus
from io import BytesIO
from pathlib import Path

import aiohttp
import msgspec

from daemon import failpoint
from daemon.feishu.client import Api, Client, Nothing
from daemon.feishu.envelope import no_answer
from daemon.feishu.errors import FeishuError, Reaction
from daemon.feishu.wire import reason

WHOLE_BYTES = 20 * 1024 * 1024
_CHUNK_BYTES = 256 * 1024
_NAME_CHARACTERS = 250

_UPLOAD = Api("media.upload", "POST", "/open-apis/drive/v1/medias/upload_all", is_media=True)
_PREPARE = Api("media.prepare", "POST", "/open-apis/drive/v1/medias/upload_prepare", is_media=True)
_PART = Api("media.part", "POST", "/open-apis/drive/v1/medias/upload_part", is_media=True)
_FINISH = Api("media.finish", "POST", "/open-apis/drive/v1/medias/upload_finish", is_media=True)
_DOWNLOAD = Api(
    "media.download", "GET", "/open-apis/drive/v1/medias/{file}/download", is_media=True
)


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


class Uploaded(msgspec.Struct, frozen=True):
    """A file that Feishu has."""

    file_token: str


class Prepared(msgspec.Struct, frozen=True):
    """An upload in parts that Feishu expects."""

    upload_id: str
    block_size: int
    block_num: int


class Media:
    """Transfers files for one app, one after the other."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._one_upload = asyncio.Lock()

    async def upload(self, path: Path, name: str, place: Place) -> str:
        """Upload the file and return its token; raises FeishuError, OSError.

        A crash leaves at most a file at Feishu that no document names.
        """
        async with self._one_upload:
            size_bytes = (await asyncio.to_thread(path.stat)).st_size
            failpoint.reach("feishu.upload.before")
            if size_bytes <= WHOLE_BYTES:
                token = await self._whole(path, _short(name), size_bytes, place)
            else:
                token = await self._begun_again(path, _short(name), size_bytes, place)
            failpoint.reach("feishu.upload.after")
            return token

    async def _whole(self, path: Path, name: str, size_bytes: int, place: Place) -> str:
        content = await asyncio.to_thread(_read, path, 0, size_bytes)
        checksum = await asyncio.to_thread(zlib.adler32, content)
        fields = {
            "file_name": name,
            "parent_type": place.parent_type.value,
            "parent_node": place.document,
            "size": str(size_bytes),
            "extra": place.extra,
            "checksum": str(checksum),
        }
        uploaded = await self._client.call(_UPLOAD, Uploaded, body=_form(fields, name, content))
        return uploaded.file_token

    async def _begun_again(self, path: Path, name: str, size_bytes: int, place: Place) -> str:
        """Upload in parts; when Feishu has forgotten the upload, once more from the beginning."""
        try:
            return await self._in_parts(path, name, size_bytes, place)
        except FeishuError as error:
            if error.about != "upload_expired":
                raise
        return await self._in_parts(path, name, size_bytes, place)

    async def _in_parts(self, path: Path, name: str, size_bytes: int, place: Place) -> str:
        wanted = {
            "file_name": name,
            "parent_type": place.parent_type.value,
            "parent_node": place.document,
            "size": size_bytes,
            "extra": place.extra,
        }
        prepared = await self._client.call(_PREPARE, Prepared, body=msgspec.json.encode(wanted))
        for seq in range(prepared.block_num):
            offset = seq * prepared.block_size
            length = min(prepared.block_size, size_bytes - offset)
            content = await asyncio.to_thread(_read, path, offset, length)
            fields = {
                "upload_id": prepared.upload_id,
                "seq": str(seq),
                "size": str(length),
                "checksum": str(await asyncio.to_thread(zlib.adler32, content)),
            }
            await self._client.call(_PART, Nothing, body=_form(fields, name, content))
            failpoint.reach("feishu.upload.part")
        finish = {"upload_id": prepared.upload_id, "block_num": prepared.block_num}
        body = msgspec.json.encode(finish)
        return (await self._client.call(_FINISH, Uploaded, body=body)).file_token

    async def download(
        self, file_token: str, to: Path, *, extra: str = "", size_bytes: int | None = None
    ) -> int:
        """Write the file's bytes to *to* and return how many there are.

        A broken transfer goes on where it broke. *extra* is what a document with advanced
        permissions asks for. Raises FeishuError, also when there are other than *size_bytes*, and
        OSError. A crash leaves a part of the file.
        """
        await asyncio.to_thread(to.write_bytes, b"")

        async def fetch() -> int:
            have_bytes = (await asyncio.to_thread(to.stat)).st_size
            return await self._fetch(file_token, to, extra, have_bytes)

        received_bytes = await self._client.tried(fetch)
        if size_bytes is not None and received_bytes != size_bytes:
            said = f"{received_bytes} bytes came instead of {size_bytes}"
            raise FeishuError(Reaction.UNKNOWN, "transfer", call=_DOWNLOAD.name, said=said)
        return received_bytes

    async def holds(self, file_token: str, content: bytes) -> bool:
        """Say whether the file is *content*, byte for byte; raises FeishuError."""

        async def compare() -> bool:
            offset = 0
            async with self._client.bytes_of(_DOWNLOAD, path={"file": file_token}) as response:
                try:
                    async for chunk in response.content.iter_chunked(_CHUNK_BYTES):
                        if content[offset : offset + len(chunk)] != chunk:
                            return False
                        offset += len(chunk)
                except (aiohttp.ClientError, TimeoutError) as error:
                    raise no_answer(_DOWNLOAD.name, reason(error)) from error
            return offset == len(content)

        return await self._client.tried(compare)

    async def _fetch(self, file_token: str, to: Path, extra: str, have_bytes: int) -> int:
        headers = {"Range": f"bytes={have_bytes}-"} if have_bytes else None
        params = [("extra", extra)] if extra else None
        path = {"file": file_token}
        async with self._client.bytes_of(
            _DOWNLOAD, path=path, params=params, headers=headers
        ) as response:
            goes_on = response.status == HTTPStatus.PARTIAL_CONTENT
            return await _stored(response, to, have_bytes if goes_on else 0)


async def _stored(response: aiohttp.ClientResponse, to: Path, offset: int) -> int:
    """Write the rest of a file from *offset* on and return its length; raises FeishuError."""
    with await asyncio.to_thread(to.open, "r+b") as file:
        file.truncate(offset)
        file.seek(offset)
        received_to = offset
        try:
            async for chunk in response.content.iter_chunked(_CHUNK_BYTES):
                failpoint.reach("feishu.download.chunk")
                await asyncio.to_thread(file.write, chunk)
                received_to += len(chunk)
        except (aiohttp.ClientError, TimeoutError) as error:
            raise no_answer(_DOWNLOAD.name, reason(error)) from error
    return received_to


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
