"""What machines ask: is it alive, is it ready, how many of what; and the reading session."""

import msgspec
from aiohttp import web

from daemon.metrics import CONTENT_TYPE
from daemon.web.auth import COOKIE, SESSION_SECONDS
from daemon.web.concerns import concerns_of
from daemon.web.decoding import Nothing
from daemon.web.documents import Alive
from daemon.web.endpoint import Call, respond
from daemon.web.events import progress
from daemon.web.gathering import answer_listing
from daemon.web.summary import batch_reports, report
from daemon.web.views import readiness


async def healthz(_: Call[Nothing, Nothing]) -> Alive:
    """Answer that the process answers."""
    return Alive("ok")


async def readyz(call: Call[Nothing, Nothing]) -> web.StreamResponse:
    """Answer 200 when work is taken and done, else 503 with what is missing."""
    ready = readiness(call.desk.ledger, call.desk.servers)
    return respond(ready, 200 if ready.ready else 503)


async def status(call: Call[Nothing, Nothing]) -> web.StreamResponse:
    """Answer servers, batches and what is on the servers now, a ``Report``."""
    desk, index = call.desk, call.desk.ledger.index
    now, concerns = desk.clock.now(), concerns_of(desk)
    rest = msgspec.structs.asdict(
        report(
            index, [], desk.settings, now, call.words, progress=progress(desk), concerns=concerns
        )
    )
    del rest["batches"]
    return await answer_listing(call.request, "batches", batch_reports(index), rest)


async def metrics(call: Call[Nothing, Nothing]) -> web.StreamResponse:
    """Answer all numbers for Prometheus."""
    measures = call.room.measures
    measures.metrics.gauges.event_listeners.set(call.room.feed.listeners_count)
    return web.Response(body=measures.text(), headers={"Content-Type": CONTENT_TYPE})


async def begin_session(call: Call[Nothing, Nothing]) -> web.StreamResponse:
    """Give a cookie that is good for reading; whoever gets here has shown the token."""
    answer = {"success": True, "expires_in_seconds": SESSION_SECONDS}
    response = web.Response(body=msgspec.json.encode(answer), content_type="application/json")
    response.set_cookie(
        COOKIE,
        call.room.guard.session(),
        max_age=SESSION_SECONDS,
        path="/",
        httponly=True,
        samesite="Strict",
        secure=call.request.secure,
    )
    return response
