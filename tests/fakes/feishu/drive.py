"""The fake's Drive media: upload whole and in parts, download with Range and ``extra``."""

import json
import secrets
import zlib
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from tests.fakes.feishu.desk import Desk, Refusal, json_of, success, want

BLOCK_BYTES = 4 * 1024 * 1024
WHOLE_BYTES = 20 * 1024 * 1024
LIFE_SECONDS = 24 * 3600.0
PARENT_TYPES = {"bitable_image", "bitable_file", "sheet_image", "sheet_file"}


@dataclass
class Media:
    content: bytes
    name: str
    document: str


@dataclass
class Upload:
    name: str
    document: str
    size: int
    begun_at: float
    parts: dict[int, bytes] = field(default_factory=dict)
    token: str | None = None  # of the file, once it is finished

    @property
    def block_num(self) -> int:
        return -(-self.size // BLOCK_BYTES)


class Drive:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self.media: dict[str, Media] = {}
        self.uploads: dict[str, Upload] = {}
        self.advanced: set[str] = set()  # documents whose files need ``extra``
        self.breaks_after: int | None = (
            None  # the next download's connection ends after so many bytes
        )
        self.ignores_range = False
        #: What a second finish of one upload brings: its token again, or a refusal. Not documented.
        self.repeats_finish = True

    def put(self, content: bytes, name: str, document: str) -> str:
        token = f"box{secrets.token_hex(10)}"
        self.media[token] = Media(content, name, document)
        return token

    def uploaded(self, document: str) -> list[str]:
        """Return the names of what was uploaded through the API, in order."""
        return [m.name for m in self.media.values() if m.document == document]

    def routes(self) -> dict[str, tuple[str, str, Any]]:
        prefix = "/open-apis/drive/v1/medias"
        return {
            "media.upload": ("POST", prefix + "/upload_all", self._whole),
            "media.prepare": ("POST", prefix + "/upload_prepare", self._prepare),
            "media.part": ("POST", prefix + "/upload_part", self._part),
            "media.finish": ("POST", prefix + "/upload_finish", self._finish),
            "media.download": ("GET", prefix + "/{file}/download", self._download),
        }

    async def _form(self, request: web.Request) -> dict[str, Any]:
        if not request.headers.get("Content-Type", "").startswith("multipart/form-data"):
            raise Refusal(1061002, "params error", 400)
        fields: dict[str, Any] = {}
        async for part in await request.multipart():
            content = await part.read()
            fields[part.name] = bytes(content) if part.name == "file" else content.decode()
        return fields

    def _check_bytes(self, fields: dict[str, Any]) -> bytes:
        content = fields["file"]
        if int(fields["size"]) != len(content):
            raise Refusal(1062009, "the actual size is inconsistent with the parameter", 400)
        if "checksum" in fields and int(fields["checksum"]) != zlib.adler32(content):
            raise Refusal(1062008, "checksum error", 400)
        return content

    async def _whole(self, request: web.Request) -> web.Response:
        fields = await self._form(request)
        want(
            fields,
            *("file_name", "parent_type", "parent_node", "size", "file"),
            optional=("extra", "checksum"),
        )
        self._check_place(fields)
        content = self._check_bytes(fields)
        if len(content) > WHOLE_BYTES:
            raise Refusal(1061043, "file size beyond limit", 400)
        token = self.put(content, fields["file_name"], fields["parent_node"])
        return success({"file_token": token})

    def _check_place(self, fields: dict[str, Any]) -> None:
        if fields["parent_type"] not in PARENT_TYPES or len(fields["file_name"]) > 250:
            raise Refusal(1061002, "params error", 400)
        extra = json.loads(fields.get("extra") or "{}")
        if extra.get("drive_route_token") != fields["parent_node"]:
            raise Refusal(1061044, "parent node not exist", 400)

    async def _prepare(self, request: web.Request) -> web.Response:
        body = await json_of(request)
        want(body, "file_name", "parent_type", "parent_node", "size", optional=("extra",))
        self._check_place(body)
        upload_id = secrets.token_hex(8)
        now = self._desk.clock.monotonic()
        self.uploads[upload_id] = Upload(body["file_name"], body["parent_node"], body["size"], now)
        number = self.uploads[upload_id].block_num
        return success({"upload_id": upload_id, "block_size": BLOCK_BYTES, "block_num": number})

    def _upload(self, upload_id: str) -> Upload:
        upload, now = self.uploads.get(upload_id), self._desk.clock.monotonic()
        if upload is None or now - upload.begun_at > LIFE_SECONDS:
            raise Refusal(1061021, "upload id expire", 400)
        return upload

    async def _part(self, request: web.Request) -> web.Response:
        fields = await self._form(request)
        want(fields, "upload_id", "seq", "size", "file", optional=("checksum",))
        upload, seq = self._upload(fields["upload_id"]), int(fields["seq"])
        if upload.token is not None:
            raise Refusal(1061021, "upload id expire", 400)
        expected = min(BLOCK_BYTES, upload.size - seq * BLOCK_BYTES)
        if expected <= 0:
            raise Refusal(1062011, "block num out of bounds", 400)
        if int(fields["size"]) != expected:
            raise Refusal(1061002, "params error", 400)
        upload.parts[seq] = self._check_bytes(fields)
        return success()

    async def _finish(self, request: web.Request) -> web.Response:
        body = await json_of(request)
        want(body, "upload_id", "block_num")
        upload = self._upload(body["upload_id"])
        if upload.token is not None and self.repeats_finish:
            return success({"file_token": upload.token})
        wanted = list(range(upload.block_num))
        if body["block_num"] != upload.block_num or sorted(upload.parts) != wanted:
            raise Refusal(1062010, "parts missing", 400)
        content = b"".join(upload.parts[seq] for seq in sorted(upload.parts))
        upload.parts.clear()
        upload.token = self.put(content, upload.name, upload.document)
        return success({"file_token": upload.token})

    async def _download(self, request: web.Request) -> web.StreamResponse:
        token = request.match_info["file"]
        media = self.media.get(token)
        if media is None:
            return web.Response(status=404)
        if media.document in self.advanced:
            self._check_extra(request.query.get("extra", ""), token)
        content, start, status, headers = media.content, 0, 200, {}
        asked = request.headers.get("Range", "")
        if asked and not self.ignores_range:
            start = int(asked.removeprefix("bytes=").removesuffix("-"))
            if start >= len(content):
                return web.Response(status=416)
            status = 206
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        rest = memoryview(content)[start:]
        response = web.StreamResponse(status=status, headers=headers)
        response.content_length = len(rest)
        await response.prepare(request)
        cut, self.breaks_after = self.breaks_after, None
        if cut is not None and cut < len(rest):
            await response.write(bytes(rest[:cut]))
            assert request.transport is not None
            request.transport.close()
            return response
        for offset in range(0, len(rest), 1024 * 1024):
            await response.write(bytes(rest[offset : offset + 1024 * 1024]))
        return response

    def _check_extra(self, extra: str, token: str) -> None:
        try:
            cells = json.loads(extra)["bitablePerm"]["attachments"]
            tokens = [t for rows in cells.values() for each in rows.values() for t in each]
        except (ValueError, KeyError, AttributeError):
            tokens = []
        if token not in tokens:
            raise web.HTTPBadRequest(text="")
