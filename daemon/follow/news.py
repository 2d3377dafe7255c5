"""News of one server over its push channel: wakes the follower, keeps each prompt's progress.

Never the truth: sockets go silent or deaf in practice, so whatever is missed here the poll finds.
"""

import asyncio
import uuid
from collections.abc import AsyncGenerator, Callable, Collection, Sequence

import msgspec
import structlog

from daemon.clock import Clock
from daemon.comfy.server import ENDED, NODE, Progress, Unreachable, WorkflowServer
from daemon.settle.server_memory import memory_of, noting
from ledger.errors import LedgerClosed
from ledger.ledger import Ledger

log = structlog.get_logger()

RECONNECT_SECONDS = (0.5, 30.0)
#: Prompts whose news came before our own ledger said that they were queued.
EARLY_NEWS = 256


class NodeProgress(msgspec.Struct, frozen=True, kw_only=True):
    """How far a prompt is, as last heard."""

    node: str | None
    value: float | None
    maximum: float | None
    heard_at: float = 0.0  # monotonic seconds


def silence_seconds(all_news: "Sequence[News]", prompt_id: str) -> float | None:
    """Return how long a prompt of any server has shown no progress; None when nobody can know."""
    known = (news.silence_seconds(prompt_id) for news in all_news)
    return next((seconds for seconds in known if seconds is not None), None)


class News:
    """Listens under the client id that prompts are submitted with."""

    def __init__(
        self,
        server: WorkflowServer,
        ledger: Ledger,
        clock: Clock,
        heard: Callable[[str, str], None],
    ) -> None:
        self.name = f"news:{server.name}"
        self._server = server
        self._ledger = ledger
        self._clock = clock
        self._heard = heard  # prompt id, event: STARTED or ENDED
        self._renew = asyncio.Event()
        self.progress: dict[str, NodeProgress] = {}  # prompt id -> news
        self.last_frame_at: float | None = None  # monotonic; None: not connected
        self._connected_at: float | None = None
        self._heard_any = False

    async def run(self, stop: asyncio.Event) -> None:
        """Listen until *stop*; reconnect with growing pauses."""
        pause_seconds = RECONNECT_SECONDS[0]
        while not stop.is_set():
            self._renew.clear()
            try:
                if await self._listen(stop):
                    pause_seconds = RECONNECT_SECONDS[0]
            except Unreachable:
                log.debug("news.unreachable", server=self._server.name)
            self.last_frame_at = self._connected_at = None
            await self._clock.pause(pause_seconds, stop)
            pause_seconds = min(2 * pause_seconds, RECONNECT_SECONDS[1])

    def silence_seconds(self, prompt_id: str) -> float | None:
        """Return how long a running prompt has shown no progress; None when nobody can know.

        Only what was heard over the connection that still stands counts: the prompt's news may
        have gone to another one.
        """
        news = self.progress.get(prompt_id)
        if news is None or self._connected_at is None or news.heard_at < self._connected_at:
            return None
        return self._clock.monotonic() - news.heard_at

    async def connect_anew(self) -> None:
        """Leave a deaf connection; the next one, and the next prompts, get a new client id.

        ComfyUI's handler of the old connection may remove the new socket of the same id when it
        ends (source of 0.3.64), so a new id is the only sure cure.
        """
        log.info("news.deaf", server=self._server.name)
        renewed = noting(self._ledger, self._server.name, client_id=uuid.uuid4().hex)
        try:
            await self._ledger.commit(renewed, op="server.client_renewed")
        except LedgerClosed:
            return
        self._renew.set()

    async def _listen(self, stop: asyncio.Event) -> bool:
        """Hear one connection to its end; returns whether anything was heard."""
        client_id = memory_of(self._ledger, self._server.name).client_id
        feed = self._server.progress(client_id or "")
        self.last_frame_at = self._connected_at = self._clock.monotonic()
        self._heard_any = False
        hearing = asyncio.ensure_future(self._hear(feed))  # one task, not one a frame
        ends = [asyncio.ensure_future(event.wait()) for event in (stop, self._renew)]
        try:
            await asyncio.wait([hearing, *ends], return_when=asyncio.FIRST_COMPLETED)
            if hearing.done():
                hearing.result()
            return self._heard_any
        finally:
            for each in (hearing, *ends):
                each.cancel()
            await asyncio.gather(hearing, return_exceptions=True)
            await feed.aclose()

    async def _hear(self, feed: AsyncGenerator[Progress, None]) -> None:
        async for news in feed:
            self._heard_any = True
            self._take(news)

    def keep_only(self, prompt_ids: Collection[str]) -> None:
        """Forget the progress of all other prompts: the news of their end was never heard."""
        for prompt_id in self.progress.keys() - prompt_ids:
            del self.progress[prompt_id]

    def _take(self, news: Progress) -> None:
        heard_at = self.last_frame_at = self._clock.monotonic()
        if news.event == NODE:
            self.progress[news.prompt_id] = NodeProgress(
                node=news.node, value=news.value, maximum=news.maximum, heard_at=heard_at
            )
            return
        if news.event == ENDED:
            self.progress.pop(news.prompt_id, None)
        self._heard(news.prompt_id, news.event)
