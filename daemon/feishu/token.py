"""The tenant token: fetched once for all who wait for it, renewed in time, replaced when it dies.

``POST /open-apis/auth/v3/tenant_access_token/internal``: asked while 30 minutes or more remain,
Feishu answers with the same token; with less, with a new one, and both work until the old one ends.
"""

import asyncio
from collections.abc import Awaitable, Callable

from daemon.clock import Clock
from daemon.feishu.errors import FeishuError

RENEWED_BEFORE_SECONDS = 25 * 60.0
#: A token's last seconds are not worth a call that may arrive too late.
UNSAFE_SECONDS = 60.0


class TokenSource:
    """Holds the one token of an app.

    *fetch* returns a new one and its life in seconds, or raises FeishuError.
    """

    def __init__(self, fetch: Callable[[], Awaitable[tuple[str, float]]], clock: Clock) -> None:
        self._fetch = fetch
        self._clock = clock
        self._one_at_a_time = asyncio.Lock()
        self._token = ""
        self._ends_at = 0.0

    @property
    def current(self) -> str:
        """The token held, or nothing; for masking it in what others say."""
        return self._token

    async def token(self) -> str:
        """Return a token that works; callers that come together share one fetch.

        A renewal that fails while the old token still lives is no failure. Raises FeishuError.
        """
        if self._left_seconds >= RENEWED_BEFORE_SECONDS:
            return self._token
        async with self._one_at_a_time:
            if self._left_seconds < RENEWED_BEFORE_SECONDS:
                await self._renew()
            return self._token

    def drop(self, token: str) -> None:
        """Forget *token*, which Feishu refused; one that was fetched since then stays."""
        if token == self._token:
            self._token, self._ends_at = "", 0.0

    @property
    def _left_seconds(self) -> float:
        return self._ends_at - self._clock.monotonic() if self._token else 0.0

    async def _renew(self) -> None:
        asked_at = self._clock.monotonic()
        try:
            token, life_seconds = await self._fetch()
        except FeishuError:
            if self._left_seconds > UNSAFE_SECONDS:
                return
            raise
        self._token, self._ends_at = token, asked_at + life_seconds
