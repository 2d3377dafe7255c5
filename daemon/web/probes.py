"""What machines ask: is it alive, is it ready, how many of what; and the reading session."""

from typing import TYPE_CHECKING

import msgspec
from aiohttp import web

from daemon.metrics import CONTENT_TYPE
from daemon.web.auth import COOKIE, SESSION_SECONDS
from daemon.web.concerns import concerns_of
from daemon.web.decoding import Nothing
from daemon.web.documents import Alive
from daemon.web.endpoint import Call, respond
from daemon.web.status_documents import Report
from daemon.web.summary import batch_reports, report
from daemon.web.views import readiness
from ledger.slices import in_slices

if TYPE_CHECKING:
    from daemon.web.batch_documents import BatchDocument


async def healthz(_: Call[Nothing, Nothing]) -> Alive:
    """Answer that the process answers."""
    return Alive("ok")


async def readyz(call: Call[Nothing, Nothing]) -> web.StreamResponse:
    """Answer 200 when work is taken and done, else 503 with what is missing."""
    ready = readiness(call.desk.ledger, call.desk.servers)
    return respond(ready, 200 if ready.ready else 503)


async def status(call: Call[Nothing, Nothing]) -> Report:
    """Answer servers, batches and what is on the servers now.

    The loop goes on while thousands of batches are gathered.
    """
    desk, index = call.desk, call.desk.ledger.index
    batches: list[BatchDocument] = []
    await in_slices(map(batches.append, batch_reports(index)))
    now, concerns = desk.clock.now(), concerns_of(desk)
    return report(index, batches, desk.settings, now, call.words, concerns=concerns)


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
