"""Server-sent events: a snapshot, then each change as it happens, and progress every second."""

import asyncio
from collections.abc import Mapping

import msgspec
import structlog
from aiohttp import web

from daemon.web.decoding import Nothing
from daemon.web.desk import Desk
from daemon.web.endpoint import Call
from daemon.web.feed import Feed, Listener
from daemon.web.remaining import batch_documents, eta_of
from daemon.web.standing import batch_document
from daemon.web.views import server_documents, snapshot
from ledger.errors import UnknownRecord
from ledger.status import Stage
from ledger.task import Json

log = structlog.get_logger()

#: So often a silent stream says that it lives; proxies end silent ones.
KEEPALIVE_SECONDS = 15.0
#: A client that takes no bytes for so long is gone.
STALLED_SECONDS = 30.0
#: So often progress and the counts of changed batches are told.
TELL_SECONDS = 1.0


async def events(call: Call[Nothing, Nothing]) -> web.StreamResponse:
    """Stream events until the client goes, or the daemon ends.

    One who comes back with Last-Event-ID gets what it missed while we remember it, else, and at
    first, a ``snapshot``; so does one who is too slow.
    """
    feed, desk = call.room.feed, call.desk
    with feed.listener(call.request.headers.get("Last-Event-ID")) as listener:
        response = web.StreamResponse(
            headers={"Content-Type": "text/event-stream", "X-Accel-Buffering": "no"}
        )
        await response.prepare(call.request)
        try:
            await _send(response, b"retry: 2000\n\n")
            while not feed.closed:
                await _tell(response, feed, listener, desk)
                if not await listener.news(KEEPALIVE_SECONDS):
                    await _send(response, b": alive\n\n")
        except (ConnectionError, TimeoutError) as error:
            log.debug("events.listener_gone", remote=call.request.remote, error=str(error))
            response.force_close()
    return response


async def _tell(response: web.StreamResponse, feed: Feed, listener: Listener, desk: Desk) -> None:
    if listener.needs_snapshot:
        listener.restart()
        event_id = feed.now_id
        now = snapshot(desk.ledger, desk.servers, batch_documents(desk), progress(desk))
        await _send(response, _framed(event_id, "snapshot", msgspec.json.encode(now)))
    for event in listener.take():
        await _send(response, _framed(feed.id_of(event.number), event.kind, event.data))


async def _send(response: web.StreamResponse, data: bytes) -> None:
    async with asyncio.timeout(STALLED_SECONDS):
        await response.write(data)


def _framed(event_id: str, kind: str, data: bytes) -> bytes:
    return b"id: %b\nevent: %b\ndata: %b\n\n" % (event_id.encode(), kind.encode(), data)


def progress(desk: Desk) -> Mapping[str, Json]:
    """Return how far each running prompt is, by task id."""
    heard = {prompt: how for news in desk.news for prompt, how in news.progress.items()}
    return {
        task.task_id: {"node": how.node, "value": how.value, "maximum": how.maximum}
        for task in desk.ledger.in_stage(Stage.QUEUED, Stage.RUNNING)
        if task.comfyui_task_id and (how := heard.get(task.comfyui_task_id)) is not None
    }


class Teller:
    """Tells what does not come from the ledger's feed by itself: progress, counts, servers."""

    def __init__(self, feed: Feed, desk: Desk) -> None:
        self._feed = feed
        self._desk = desk
        self._progress: Mapping[str, Json] = {}
        self._servers = server_documents(desk.ledger, ())

    async def run(self, stop: asyncio.Event) -> None:
        """Tell every second until *stop*, as long as somebody listens."""
        while not stop.is_set():
            if self._feed.is_heard:
                self.tell()
            await self._desk.clock.pause(TELL_SECONDS, stop)

    def tell(self) -> None:
        """Tell what changed since the last time."""
        self._tell_batches()
        now = progress(self._desk)
        changed = {
            task_id: how for task_id, how in now.items() if how != self._progress.get(task_id)
        }
        self._progress = now
        if changed:
            self._feed.publish("progress", changed)
        servers = server_documents(self._desk.ledger, self._desk.servers)
        if servers != self._servers:
            self._servers = servers
            self._feed.publish("servers", servers)

    def _tell_batches(self) -> None:
        ledger = self._desk.ledger
        touched, self._feed.touched = self._feed.touched, set()
        for batch_id in sorted(touched):
            try:
                batch = ledger.batch(batch_id)
            except UnknownRecord:
                continue
            eta = eta_of(self._desk, batch)
            self._feed.publish("batch", batch_document(ledger.index, batch, eta))
