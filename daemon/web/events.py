"""Server-sent events: a snapshot, then what changed, four times a second."""

import asyncio
import socket
from collections.abc import Mapping

import structlog
from aiohttp import web

from daemon.web.concerns import concerns_of
from daemon.web.decoding import Nothing
from daemon.web.desk import Desk
from daemon.web.documents import OverviewDocument
from daemon.web.endpoint import Call
from daemon.web.feed import TELL_SECONDS, Feed, Listener
from daemon.web.gathering import gathered
from daemon.web.headers import ALWAYS
from daemon.web.remaining import batch_documents, eta_of
from daemon.web.standing import batch_document
from daemon.web.status_documents import NodeProgress
from daemon.web.views import server_documents, snapshot
from ledger.slices import in_slices
from ledger.status import Stage

log = structlog.get_logger()

#: What the kernel keeps for a client that does not read; by itself it would take megabytes.
SEND_BUFFER_BYTES = 32 * 1024
#: Tellings of tasks and progress to one of counts, servers and activity.
TICKS_PER_TELLING = 4


async def events(call: Call[Nothing, Nothing]) -> web.StreamResponse:
    """Stream events until the client goes, or the daemon ends.

    One who comes back with Last-Event-ID gets what it missed while we remember it, else, and at
    first, a ``snapshot``; so does one who is too slow. One who reads nothing is cut off.
    """
    feed, room, request = call.room.feed, call.room, call.request
    last_event_id = request.headers.get("Last-Event-ID")
    with feed.listener(last_event_id, _Client(request)) as listener:
        response = web.StreamResponse(
            headers={**ALWAYS, "Content-Type": "text/event-stream", "X-Accel-Buffering": "no"}
        )
        await response.prepare(request)
        _keep_little(request)
        try:
            await response.write(b"retry: 2000\n\n")
            while not (feed.closed or listener.is_gone):
                await _tell(response, feed, listener, room.desk)
                await listener.news()
        except ConnectionError as error:
            log.debug("events.listener_gone", remote=request.remote, error=str(error))
            response.force_close()
    return response


class _Client:
    """Who made a request."""

    def __init__(self, request: web.BaseRequest) -> None:
        self._request = request

    def is_gone(self) -> bool:
        return self._request.transport is None

    def cut_off(self) -> None:
        if (transport := self._request.transport) is not None:
            transport.abort()  # what waits in its buffer is of no use to anybody


def _keep_little(request: web.BaseRequest) -> None:
    """Bound what waits for the client here and in the kernel: so a deaf one shows soon."""
    if (transport := request.transport) is None:
        return
    transport.set_write_buffer_limits(high=SEND_BUFFER_BYTES)
    connection = transport.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)


async def _tell(response: web.StreamResponse, feed: Feed, listener: Listener, desk: Desk) -> None:
    """Send what is due; the feed cuts off a client that takes none of it for some seconds."""
    if listener.needs_snapshot:
        listener.restart()
        await _send(response, listener, await feed.snapshot(lambda: _snapshot(desk)))
    for frames in listener.take():
        await _send(response, listener, frames)


async def _send(response: web.StreamResponse, listener: Listener, frames: bytes) -> None:
    """Send piece by piece: all share the bytes, and a piece only waits in a client's buffer."""
    rest = memoryview(frames)
    while rest:
        with listener.sending():
            await response.write(rest[:SEND_BUFFER_BYTES])
        rest = rest[SEND_BUFFER_BYTES:]


async def _snapshot(desk: Desk) -> bytearray:
    now = snapshot(desk.ledger, desk.servers, progress(desk))
    rest = {**now, "overview": _overview(desk), "latest": desk.tallies.activity.latest()}
    return await gathered("batches", batch_documents(desk), rest)


def _overview(desk: Desk) -> OverviewDocument:
    activity = desk.tallies.activity
    return activity.overview(desk.servers, desk.stuck.stuck, concerns_of(desk))


def progress(desk: Desk) -> Mapping[str, NodeProgress]:
    """Return how far each running prompt is, by task id."""
    heard = {prompt: how for news in desk.news for prompt, how in news.progress.items()}
    return {
        task.task_id: NodeProgress(node=how.node, value=how.value, maximum=how.maximum)
        for task in desk.ledger.in_stage(Stage.QUEUED, Stage.RUNNING)
        if task.comfyui_task_id and (how := heard.get(task.comfyui_task_id)) is not None
    }


class Teller:
    """Tells what gathers in the feed, and what does not come from the ledger by itself."""

    def __init__(self, feed: Feed, desk: Desk) -> None:
        self._feed = feed
        self._desk = desk
        self._progress: Mapping[str, NodeProgress] = {}
        self._servers = server_documents(desk.ledger, ())
        self._overview = _overview(desk)

    async def run(self, stop: asyncio.Event) -> None:
        """Tell four times a second until *stop*, as long as somebody listens."""
        tick = 0
        while not stop.is_set():
            if self._feed.is_heard:
                self._tell_progress()
                if tick % TICKS_PER_TELLING == 0:
                    await self.tell()
            self._feed.flush()
            tick += 1
            await self._desk.clock.pause(TELL_SECONDS, stop)

    async def tell(self) -> None:
        """Tell which batches, servers and activity changed since the last time."""
        touched, self._feed.touched = self._feed.touched, set()
        await in_slices(map(self._tell_batch, sorted(touched)))
        servers = server_documents(self._desk.ledger, self._desk.servers)
        if servers != self._servers:
            self._servers = servers
            self._feed.publish("servers", servers)
        overview = _overview(self._desk)
        if overview != self._overview:
            self._overview = overview
            self._feed.publish("overview", overview)

    def _tell_progress(self) -> None:
        now = progress(self._desk)
        changed = {
            task_id: how for task_id, how in now.items() if how != self._progress.get(task_id)
        }
        self._progress = now
        if changed:
            self._feed.publish("progress", changed)

    def _tell_batch(self, batch_id: str) -> None:
        ledger = self._desk.ledger
        if (batch := ledger.index.find_batch(batch_id)) is not None:
            document = batch_document(ledger.index, batch, eta_of(self._desk, batch))
            self._feed.publish("batch", document)
