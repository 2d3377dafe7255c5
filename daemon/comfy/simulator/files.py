"""``/view``, ``/upload/image``, ``/internal/files``."""

import asyncio
import mimetypes
from pathlib import Path

from aiohttp import web
from aiohttp.web_request import FileField

from daemon.comfy.simulator.answers import json_answer
from daemon.comfy.simulator.faults import Fault
from daemon.comfy.simulator.folders import KINDS, inside, split_annotation
from daemon.comfy.simulator.machine import Machine

#: What the real server accepts in one request unless told otherwise.
UPLOAD_LIMIT_BYTES = 100 * 2**20


class Files:
    """Serves results and stores input pictures."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine

    async def view(self, request: web.Request) -> web.StreamResponse:
        """Serve a file: 404 missing, 400 a bad name or type, 403 a folder outside."""
        query = request.rel_url.query
        name, kind = split_annotation(query.get("filename", ""), query.get("type", "output"))
        if "filename" not in query:
            return web.Response(status=404)
        if not name or name.startswith("/") or ".." in name or kind not in KINDS:
            return web.Response(status=400)
        root = self._machine.folder / kind
        folder = inside(root, query.get("subfolder", ""))
        if folder is None:
            return web.Response(status=403)
        path = folder / Path(name).name
        if not path.is_file():
            return web.Response(status=404)
        headers = {
            "Content-Disposition": f'filename="{path.name}"',
            "Content-Type": mimetypes.guess_type(path.name)[0] or "application/octet-stream",
        }
        if request.method == "GET":
            for fault in (Fault.TRUNCATED_VIEW, Fault.CORRUPT_VIEW):
                if self._machine.faults.strike(fault, path.name):
                    return await _damaged(request, path, headers, fault)
        return web.FileResponse(path, headers=headers)

    async def upload_image(self, request: web.Request) -> web.Response:
        """Store a picture; the same bytes under the same name are kept once, others renamed."""
        size_bytes = request.content_length or 0  # the real one reads it all; same answer
        if size_bytes > UPLOAD_LIMIT_BYTES:
            raise web.HTTPRequestEntityTooLarge(UPLOAD_LIMIT_BYTES, size_bytes)
        form = await request.post()
        image, kind = form.get("image"), str(form.get("type", "input"))
        if not isinstance(image, FileField) or not image.filename or kind not in KINDS:
            return web.Response(status=400)
        root, subfolder = self._machine.folder / kind, str(form.get("subfolder", ""))
        path = inside(root, subfolder, image.filename)
        if path is None:
            return web.Response(status=400)
        overwrite = form.get("overwrite") in {"true", "1"}
        content = await asyncio.to_thread(image.file.read)
        name = await asyncio.to_thread(_store, path, content, overwrite=overwrite)
        return json_answer({"name": name, "subfolder": subfolder, "type": kind})

    async def list_files(self, request: web.Request) -> web.Response:
        """List the files at the top of a folder, newest first."""
        kind = request.match_info["kind"]
        if kind not in KINDS:
            return json_answer({"error": "Invalid directory type"}, 400)
        names = await asyncio.to_thread(_newest, self._machine.folder / kind)
        if self._machine.generation.modern:
            names = [f"{name} [{kind}]" for name in names]
        return json_answer([*names])


def _store(path: Path, content: bytes, *, overwrite: bool) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    target, copy = path, 0
    while not overwrite and target.exists():
        if target.read_bytes() == content:
            return target.name
        copy += 1
        target = path.with_name(f"{path.stem} ({copy}){path.suffix}")
    target.write_bytes(content)
    return target.name


def _newest(folder: Path) -> list[str]:
    files = [entry for entry in folder.iterdir() if entry.is_file()]
    return [entry.name for entry in sorted(files, key=lambda e: -e.stat().st_mtime)]


async def _damaged(
    request: web.Request, path: Path, headers: dict[str, str], fault: Fault
) -> web.StreamResponse:
    """Send garbage of the right length, or half of the file and then a cut connection."""
    content = await asyncio.to_thread(path.read_bytes)
    start = request.http_range.start or 0
    part = content[start:]
    answer = web.StreamResponse(status=206 if start else 200, headers=headers)
    answer.content_length = len(part)
    if start:
        answer.headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
    await answer.prepare(request)
    if fault is Fault.CORRUPT_VIEW:
        await answer.write(bytes(byte ^ 0xA5 for byte in part))
        return answer
    await answer.write(part[: len(part) // 2])
    if request.transport is not None:
        request.transport.close()  # after what was written, unlike abort
    return answer
