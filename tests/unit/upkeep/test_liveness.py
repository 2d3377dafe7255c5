"""What the service manager hears while the daemon lives, and when its loop is held."""

import asyncio
import socket
import time
from pathlib import Path

from daemon.clock import SystemClock
from daemon.notify import ServiceManager
from daemon.upkeep.liveness import Liveness
from daemon.words import Words
from ledger.ledger import Ledger
from ledger.memory import MemoryBackend

WATCHDOG_SECONDS = 0.4


async def test_a_held_loop_stops_feeding_the_watchdog_and_a_free_one_goes_on(tmp_path: Path):
    ledger = Ledger(MemoryBackend())
    await ledger.open()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as heard:
        heard.bind(str(tmp_path / "notify"))
        heard.settimeout(0)
        manager = ServiceManager(
            {
                "NOTIFY_SOCKET": heard.getsockname(),
                "WATCHDOG_USEC": str(int(WATCHDOG_SECONDS * 1e6)),
            }
        )
        opened, stop = asyncio.Event(), asyncio.Event()
        liveness = Liveness(
            manager,
            ledger,
            SystemClock(),
            opened=opened,
            servers_up=lambda: (1, 2),
            words=Words("en"),
        )

        def fed() -> int:
            messages = _messages(heard)
            return sum("WATCHDOG=1" in message.splitlines() for message in messages)

        running = asyncio.create_task(liveness.run(stop))
        await asyncio.sleep(WATCHDOG_SECONDS)
        assert _messages(heard) == []  # the doors are shut: neither ready nor watched
        opened.set()
        await asyncio.sleep(WATCHDOG_SECONDS)
        first, *others = _messages(heard)
        assert first == "READY=1"
        assert "STATUS=0 waiting, 0 in process, 0 done, 0 failed; 1 of 2 servers up" in others
        await asyncio.sleep(2 * WATCHDOG_SECONDS)
        assert fed() >= 2
        time.sleep(2 * WATCHDOG_SECONDS)  # the fault itself: the loop is held
        assert fed() == 0
        await asyncio.sleep(WATCHDOG_SECONDS)
        assert fed() >= 1
        stop.set()
        await running
        assert _messages(heard)[-1] == "STOPPING=1\nWATCHDOG=1"
        manager.close()
    await ledger.close()


def _messages(heard: socket.socket) -> list[str]:
    messages: list[str] = []
    while True:
        try:
            messages.append(heard.recv(4096).decode())
        except BlockingIOError:
            return messages
