"""How long a running prompt has shown no progress is known, or is said to be unknown."""

import asyncio
import uuid
from pathlib import Path

from daemon.clock import SystemClock
from daemon.comfy.client import ComfyClient
from daemon.comfy.server import Ticket
from daemon.comfy.simulator import Simulator
from daemon.follow.news import News, silence_seconds
from ledger.entry import Meta
from ledger.ledger import Ledger
from ledger.memory import MemoryBackend
from tests.fakes.comfy_user import plain_graph


class Ahead(SystemClock):
    """The machine's clock, so many seconds ahead."""

    ahead_seconds = 0.0

    def monotonic(self) -> float:
        return super().monotonic() + self.ahead_seconds


async def test_silence_is_counted_from_the_last_news_until_the_connection_changes(
    tmp_path: Path,
) -> None:
    clock, stop = Ahead(), asyncio.Event()
    ledger = Ledger(MemoryBackend())
    await ledger.open()
    memory = Meta(section="servers", key="gpu-a", value={"client_id": "ours"})
    await ledger.commit(memory, op="server.noted")
    async with Simulator(tmp_path / "comfyui", seconds_per_job=60) as simulator:
        client = ComfyClient("gpu-a", simulator.url, clock=clock)
        news = News(client, ledger, clock, lambda _prompt, _event: None)
        listening = asyncio.ensure_future(news.run(stop))
        ticket = Ticket(prompt_id=str(uuid.uuid4()), task_id="img_20261121_000001", attempt=1)
        async with asyncio.timeout(20):
            while news.last_frame_at is None:
                await asyncio.sleep(0.01)
            assert silence_seconds([news], ticket.prompt_id) is None
            await client.submit(plain_graph("x"), ticket, "ours")
            while ticket.prompt_id not in news.progress:
                await asyncio.sleep(0.01)
            clock.ahead_seconds = 600
            assert (silence_seconds([news], ticket.prompt_id) or 0) >= 599
            before = news._connected_at
            await news.connect_anew()
            while news._connected_at in (None, before):
                await asyncio.sleep(0.01)
            assert silence_seconds([news], ticket.prompt_id) is None
        stop.set()
        await listening
        await client.close()
    await ledger.close()
