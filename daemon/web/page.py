"""The dashboard: its own files, sent with a policy that lets them load nothing else."""

from aiohttp import web

from daemon.web.decoding import Nothing
from daemon.web.endpoint import Call
from daemon.web.refusal import Refusal

#: Scripts, styles and pictures of our own only; text becomes markup nowhere (trusted types).
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; media-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)


async def index(call: Call[Nothing, Nothing]) -> web.StreamResponse:
    """Answer the page itself."""
    return _sent(call, "index.html")


async def part(call: Call[Nothing, Nothing]) -> web.StreamResponse:
    """Answer a script, a style or an icon of the page."""
    return _sent(call, call.id("file"))


def _sent(call: Call[Nothing, Nothing], name: str) -> web.StreamResponse:
    file = call.room.page.get(name)
    if file is None:
        raise Refusal("unknown_path", 404, path=call.request.path[:200])
    headers = {
        "ETag": f'"{file.etag}"',
        "Cache-Control": "no-cache",  # asked anew each time: a new version shows at once
        "Content-Security-Policy": POLICY,
    }
    if file.etag in (call.request.headers.get("If-None-Match") or ""):
        return web.Response(status=304, headers=headers)
    return web.Response(body=file.body, content_type=file.kind, charset="utf-8", headers=headers)
