"""The real program under a service manager: what it tells, and in which order."""

import asyncio
import signal
import socket
from collections.abc import AsyncIterator
from pathlib import Path

from daemon.comfy.simulator import Simulator
from ledger.status import Stage
from tests.fakes.world import TWO_ROWS, World, finish, kill

WATCHDOG_SECONDS = 1.0


async def messages(heard: socket.socket) -> AsyncIterator[str]:
    while True:
        data = await asyncio.get_running_loop().sock_recv(heard, 4096)
        yield data.decode()


async def told_until(wanted: str, heard: socket.socket) -> list[str]:
    """Return all messages up to the one that begins with *wanted*."""
    told: list[str] = []
    async with asyncio.timeout(30):
        async for message in messages(heard):
            told.append(message)
            if message.startswith(wanted):
                return told
    raise AssertionError


async def test_ready_comes_after_recovery_and_every_step_is_told_in_order(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as heard:
        heard.bind(str(tmp_path / "notify"))
        heard.setblocking(False)
        service = {
            "NOTIFY_SOCKET": str(tmp_path / "notify"),
            "WATCHDOG_USEC": str(int(WATCHDOG_SECONDS * 1e6)),
        }
        async with Simulator(tmp_path / "comfyui", seconds_per_job=1) as simulator:
            world = World(tmp_path / "world", simulator.url)
            world.drop("spring", TWO_ROWS[:1])
            first = await world.daemon("run")
            async with asyncio.timeout(30):
                while not world.stages()[Stage.RUNNING]:
                    await asyncio.sleep(0.05)
            await kill(first)

            daemon = await world.daemon("run", **service)
            start = await told_until("READY=1", heard)
            assert start[0] == "STATUS=reading the ledger"
            assert any("recovering: 1 of 1 tasks on gpu-0 settled" in each for each in start)
            assert "WATCHDOG=1" not in start  # systemd does not wait for it yet

            life = await told_until("STATUS=0 waiting, 0 in process, 1 done", heard)
            assert "WATCHDOG=1" in life
            daemon.send_signal(signal.SIGHUP)
            await told_until("RELOADING=1\nMONOTONIC_USEC=", heard)
            await told_until("READY=1", heard)

            daemon.send_signal(signal.SIGTERM)
            assert (await told_until("STOPPING=1", heard))[-1] == "STOPPING=1\nWATCHDOG=1"
            code, log = await finish(daemon, 20)
            assert code == 0, log
