"""Who may call when: one write at a time per document, files one after the other and not too fast.

Feishu's advice for Bitable and Sheets is to write to one document serially, else 1254291; its rule
for files is no parallel uploads and five calls a second of each kind (each page says so of its own
call, and limits are per API), else 1061045.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from weakref import WeakValueDictionary

from daemon.clock import Clock

#: A little more than a fifth of a second: calls do not take equally long to arrive.
MEDIA_SPACING_SECONDS = 0.21
_RESET_HEADER = "x-ogw-ratelimit-reset"
#: A server that asks for more than this is asked again all the same.
LONGEST_RESET_SECONDS = 120.0


class Limits:
    """The locks of one app. Nothing here survives a restart, nor needs to."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._documents: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._media = asyncio.Lock()
        self._media_free_at: dict[str, float] = {}  # by kind of call

    @asynccontextmanager
    async def writing(self, document: str) -> AsyncIterator[None]:
        """Hold the only right to write to *document*."""
        lock = self._documents.setdefault(document, asyncio.Lock())
        async with lock:
            yield

    @asynccontextmanager
    async def media_call(self, kind: str) -> AsyncIterator[None]:
        """Hold the only right to transfer a file or a part of one, begun when its time has come.

        *kind*: calls of one kind begin no sooner than a fifth of a second after one another.
        """
        async with self._media:
            now = self._clock.monotonic()
            wait_seconds = self._media_free_at.get(kind, now) - now
            if wait_seconds > 0:
                await self._clock.pause(wait_seconds)
            self._media_free_at[kind] = self._clock.monotonic() + MEDIA_SPACING_SECONDS
            yield


def reset_seconds(headers: Mapping[str, str]) -> float | None:
    """Return how long an answer asks to wait, or None when it does not say."""
    text = headers.get(_RESET_HEADER) or headers.get("Retry-After") or ""
    try:
        seconds = float(text)
    except ValueError:
        return None
    return min(max(seconds, 0.0), LONGEST_RESET_SECONDS)
