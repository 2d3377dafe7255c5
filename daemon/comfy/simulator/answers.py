"""Answers as ComfyUI gives them: JSON, an empty one, the 500 of an unhandled exception."""

import orjson
from aiohttp import web

from daemon.comfy.server import Json


class Broken(Exception):
    """The real server stumbles over this request: 500 with a line of text."""


def json_answer(body: Json, status: int = 200) -> web.Response:
    """Return *body* as JSON."""
    return web.json_response(text=orjson.dumps(body).decode(), status=status)


def broken_answer() -> web.Response:
    """Return what aiohttp answers for an unhandled exception."""
    text = "500 Internal Server Error\n\nServer got itself in trouble"
    return web.Response(status=500, text=text)


async def read_object(request: web.Request) -> dict[str, Json]:
    """Return the request's JSON object; raises Broken for anything else."""
    try:
        body: object = orjson.loads(await request.read())
    except orjson.JSONDecodeError as wrong:
        raise Broken from wrong
    if not isinstance(body, dict):
        raise Broken
    return body


def hang_up(request: web.Request) -> web.Response:
    """Cut the connection; the returned answer reaches nobody."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=500)
