"""What a burst took and let go of does not stay with the process."""

import asyncio
import ctypes
import subprocess
import sys

import pytest

from daemon.upkeep.freed_memory import LOOK_SECONDS, FreedMemory
from tests.bench.memory import resident_bytes
from tests.fakes.clock import FakeClock

NEEDS_GLIBC = pytest.mark.skipif(
    not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="needs glibc"
)


@NEEDS_GLIBC
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


CHUNKS_COME_AND_GO = """
import resource
from daemon.upkeep.freed_memory import keep_little

keep_little()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(50):
    chunks = [b"x" * 300_000 for _ in range(8)]
    del chunks
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@NEEDS_GLIBC
def test_memory_of_chunks_that_come_and_go_is_mapped_once() -> None:
    command = [sys.executable, "-c", CHUNKS_COME_AND_GO]
    faults = int(subprocess.check_output(command, text=True))
    assert faults < 5 * 8 * 300_000 / 4096  # of fifty times


TABLES_COME_AND_GO = """
import os
from daemon.upkeep.freed_memory import keep_little

def resident_bytes():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

keep_little()
before = resident_bytes()
held = []
for size in range(12, 3, -1):
    table = b"x" * (size << 20)
    held.append(b"x" * 1000)  # lies behind it, and stays
    del table
print(resident_bytes() - before)
"""


@NEEDS_GLIBC
def test_tables_that_come_and_go_leave_nothing_behind() -> None:
    command = [sys.executable, "-c", TABLES_COME_AND_GO]
    assert int(subprocess.check_output(command, text=True)) < 1_000_000


def _resident_bytes() -> int:
    with open("/proc/self/statm", encoding="ascii") as file:  # noqa: PTH123 - as it stands now
        return int(file.read().split()[1]) * 4096
