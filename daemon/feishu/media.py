"""Files of documents, downloaded as a stream; see ``uploads`` for the other way.

Source: drive v1 media.
"""

import asyncio
from http import HTTPStatus
from pathlib import Path

import aiohttp

from daemon import failpoint
from daemon.feishu.client import Api, Client
from daemon.feishu.envelope import no_answer
from daemon.feishu.errors import FeishuError, Reaction
from daemon.feishu.wire import reason
from daemon.words.recorded import recorded

_CHUNK_BYTES = 256 * 1024

_DOWNLOAD = Api(
    "media.download", "GET", "/open-apis/drive/v1/medias/{file}/download", is_media=True
)


class Media:
    """Downloads files for one app."""

    def __init__(self, client: Client) -> None:
        self._client = client

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
            said = recorded("bytes_came", count=received_bytes, total=size_bytes)
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
