"""How much and how often one may ask."""

import asyncio
from collections import OrderedDict

from aiohttp import web

from daemon.clock import Clock
from daemon.web.refusal import Refusal

#: Bodies other than jobs; the largest that makes sense is a rerun with changed columns.
MAX_BODY_BYTES = 1024 * 1024
#: How long a whole body may take to arrive.
BODY_SECONDS = 30.0
#: Changes from one address that are being received or made; how fast they go, the disk decides.
CHANGES_UNDER_WAY = 256
#: Addresses remembered; the one that asked longest ago is forgotten first.
MAX_ADDRESSES = 4096


class Buckets:
    """One bucket of permits for each address, refilled steadily."""

    def __init__(self, clock: Clock, size: int, every_seconds: float) -> None:
        self._clock = clock
        self._size = size
        self._every_seconds = every_seconds
        self._full_at: OrderedDict[str, float] = OrderedDict()

    def take(self, address: str) -> float:
        """Take a permit; returns 0, or for how many seconds there is none."""
        now = self._clock.monotonic()
        # the moment at which the bucket would be full again says how full it is
        full_at = max(self._full_at.pop(address, now), now) + self._every_seconds
        wait_seconds = full_at - now - self._size * self._every_seconds
        taken = wait_seconds <= 0
        self._full_at[address] = full_at if taken else full_at - self._every_seconds
        if len(self._full_at) > MAX_ADDRESSES:
            self._full_at.popitem(last=False)
        return 0.0 if taken else wait_seconds


class UnderWay:
    """Counts what is under way for each address."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._counts: dict[str, int] = {}

    def begin(self, address: str) -> bool:
        """Count one more in, to be ended; returns False, with nothing counted, for one too many."""
        under_way = self._counts.get(address, 0)
        if under_way >= self._limit:
            return False
        self._counts[address] = under_way + 1
        return True

    def end(self, address: str) -> None:
        """Count one out."""
        if left := self._counts[address] - 1:
            self._counts[address] = left
        else:
            del self._counts[address]


async def invite_body(request: web.BaseRequest) -> None:
    """Tell a client that waits to be let in, before it sends a large body, to send it."""
    if request.headers.get("Expect", "").lower() == "100-continue":
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")


async def read_body(request: web.BaseRequest, limit_bytes: int = MAX_BODY_BYTES) -> bytes:
    """Return the body; raises Refusal when it is larger (413) or comes too slowly (408)."""
    if (request.content_length or 0) > limit_bytes:
        raise too_large(limit_bytes)
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for chunk in request.content.iter_any():
                body += chunk
                if len(body) > limit_bytes:
                    raise too_large(limit_bytes)
    except TimeoutError as error:
        raise Refusal("body_too_slow", 408, seconds=BODY_SECONDS) from error
    return bytes(body)


def too_large(limit_bytes: int) -> Refusal:
    """Return the refusal for a body over the limit."""
    return Refusal("body_too_large", 413, limit=f"{limit_bytes / 1024**2:g} MiB")
