"""What a burst took and let go of does not stay with the process."""

import asyncio
import ctypes

import pytest

from daemon.upkeep.freed_memory import LOOK_SECONDS, FreedMemory
from tests.bench.memory import resident_bytes
from tests.fakes.clock import FakeClock


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="needs glibc")
async def test_memory_freed_below_what_is_still_held_goes_back_to_the_system() -> None:
    clock, stop = FakeClock(), asyncio.Event()
    at_rest = resident_bytes()
    giving_back = asyncio.ensure_future(FreedMemory(clock).run(stop))
    await asyncio.sleep(0.01)
    held = [bytes(2_000 + number % 3) for number in range(30_000)]
    last = held.pop()  # lies above all the others
    held.clear()
    assert _resident_bytes() > at_rest + 30_000_000
    async with asyncio.timeout(5):
        while _resident_bytes() > at_rest + 10_000_000:
            clock.advance(LOOK_SECONDS)
            await asyncio.sleep(0.01)
    stop.set()
    await giving_back
    assert last


def _resident_bytes() -> int:
    with open("/proc/self/statm", encoding="ascii") as file:  # noqa: PTH123 - as it stands now
        return int(file.read().split()[1]) * 4096
