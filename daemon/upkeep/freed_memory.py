"""Gives memory that was freed back to the system.

The C library keeps what it may need again, and the holes between what is still held it never gives
back by itself: after a burst of job files that is as much as their rows take.
"""

import asyncio
import ctypes
import os
from collections.abc import Callable
from pathlib import Path

import structlog

from daemon.clock import Clock

log = structlog.get_logger()

LOOK_SECONDS = 1.0
#: Less is not worth it: giving back so much takes a millisecond, and as long to have it again.
GROWTH_BYTES = 3 * 1024 * 1024

#: Blocks from this size on go back as soon as they are freed: tables of many thousand rows. Pieces
#: of downloads are smaller: to have the pages of each mapped anew, as glibc does from 128 KiB on at
#: first (mallopt(3), M_MMAP_THRESHOLD), took a twelfth of their processor time.
_BLOCK_BYTES = 2 * 1024 * 1024
#: So much that was freed last stays at hand, for the same reason.
_AT_HAND_BYTES = 8 * 1024 * 1024
#: Parameters of ``mallopt``, as in glibc's malloc.h, and our values.
_OPTIONS = ((-8, 1), (-3, _BLOCK_BYTES), (-1, _AT_HAND_BYTES))  # arenas, mmap and trim threshold

_STATM = Path("/proc/self/statm")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


def keep_little() -> None:
    """Have the C library keep less of what is freed, for as long as the process lives.

    Left alone it has a heap for each of the first threads, each with holes of its own, and grows
    tables of a few megabytes in them. To be called before there are threads. Where the C library is
    another one, or has its orders from the environment, nothing happens.
    """
    set_option = getattr(ctypes.CDLL(None), "mallopt", None)
    if set_option is None or any(name.startswith("MALLOC_") for name in os.environ):
        return
    for parameter, value in _OPTIONS:
        set_option(parameter, value)


class FreedMemory:
    """Whenever the process has grown, has the C library let go of what is free."""

    name = "freed-memory"

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    async def run(self, stop: asyncio.Event) -> None:
        """Look until *stop* is set; where the C library or the system cannot, just wait."""
        trim = _trim()
        if trim is None:
            await stop.wait()
            return
        held_bytes = _resident_bytes()  # when we gave back last, or less
        while not stop.is_set():
            await self._clock.pause(LOOK_SECONDS, stop)
            resident_bytes = _resident_bytes()
            if resident_bytes > held_bytes + GROWTH_BYTES:
                await asyncio.to_thread(trim, 0)
                held_bytes = _resident_bytes()
                log.debug("memory.given_back", bytes=resident_bytes - held_bytes)
            held_bytes = min(held_bytes, resident_bytes)


def _trim() -> Callable[[int], int] | None:
    """Return the C library's ``malloc_trim``, None when it has none: only glibc does."""
    if not _STATM.exists():
        return None
    trim: Callable[[int], int] | None = getattr(ctypes.CDLL(None), "malloc_trim", None)
    return trim


def _resident_bytes() -> int:
    return int(_STATM.read_text().split()[1]) * _PAGE_BYTES
