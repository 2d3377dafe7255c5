"""Small pictures of results and inputs, for lists; an icon where there can be none."""

from pathlib import Path

from aiohttp import web

from daemon.collect.file_type import expected_type
from daemon.web.decoding import Nothing
from daemon.web.endpoint import Call
from daemon.web.files import found_input, found_output
from daemon.web.thumbs import VIDEOS, NoThumb

#: Results never change under their address; a removed one is noticed within a day.
KEEP = "private, max-age=86400"


async def of_output(call: Call[Nothing, Nothing]) -> web.StreamResponse:
    """Answer a small picture of the task's output file *index*, or an icon."""
    named, path = await found_output(call)
    return await _small(call, named.sha256 or "", path, named.filename)


async def of_input(call: Call[Nothing, Nothing]) -> web.StreamResponse:
    """Answer a small picture of the picture in the task's input *column*, or an icon."""
    named, path = await found_input(call)
    return await _small(call, named.sha256, path, named.name)


async def _small(
    call: Call[Nothing, Nothing], sha256: str, path: Path, name: str
) -> web.StreamResponse:
    headers = {"ETag": f'"{sha256}"', "Cache-Control": KEEP}
    if sha256 in (call.request.headers.get("If-None-Match") or ""):
        return web.Response(status=304, headers=headers)
    try:
        body = await call.room.thumbs.thumb(sha256, path)
    except NoThumb:
        icon = "video.svg" if expected_type(name) in VIDEOS else "file.svg"
        return web.Response(body=call.room.page[icon].body, content_type="image/svg+xml")
    return web.Response(body=body, content_type="image/webp", headers=headers)
