"""A custom bot in a chat: one text at a time, at most one a second. Its address is a secret.

``POST https://open.feishu.cn/open-apis/bot/v2/hook/<token>``; messages are not counted against the
monthly quota. The bot takes 5 a second and 100 a minute; errors come with HTTP 200, too.
"""

import base64
import hashlib
import hmac

import msgspec

from daemon.clock import Clock
from daemon.feishu.envelope import no_answer, opened
from daemon.feishu.wire import Broken, Wire

CALL = "bot.send"
SPACING_SECONDS = 1.0
#: The bot takes 20 KB of JSON; Chinese characters have three bytes each.
TEXT_CHARACTERS = 6000


def sign(timestamp: int, secret: str) -> str:
    r"""Return the signature of a message sent at *timestamp* (seconds since the epoch).

    The key is ``"{timestamp}\n{secret}"``, the signed text is empty.
    """
    key = f"{timestamp}\n{secret}".encode()
    return base64.b64encode(hmac.new(key, b"", hashlib.sha256).digest()).decode("ascii")


class Webhook:
    """One bot. ``send`` is called by one caller at a time."""

    def __init__(self, address: str, clock: Clock, *, secret: str = "", keyword: str = "") -> None:
        self._address = address
        self._secret = secret
        self._keyword = keyword
        self._clock = clock
        self._wire = Wire("")
        self._free_at = clock.monotonic()

    async def send(self, text: str) -> None:
        """Send *text* once, when a second has passed since the last; raises FeishuError.

        No address and no secret is ever in the error.
        """
        wait_seconds = self._free_at - self._clock.monotonic()
        if wait_seconds > 0:
            await self._clock.pause(wait_seconds)
        self._free_at = self._clock.monotonic() + SPACING_SECONDS
        try:
            reply = await self._wire.send(
                "POST",
                self._address,
                headers={"Content-Type": "application/json; charset=utf-8"},
                body=self._message(text),
            )
        except Broken as error:
            raise no_answer(CALL, str(error)) from error
        opened(reply, CALL, (self._address, self._secret))

    async def close(self) -> None:
        """Release the connection."""
        await self._wire.close()

    def _message(self, text: str) -> bytes:
        if self._keyword and self._keyword not in text:
            text = f"{self._keyword} {text}"
        message: dict[str, object] = {
            "msg_type": "text",
            "content": {"text": text[:TEXT_CHARACTERS]},
        }
        if self._secret:
            timestamp = int(self._clock.now().timestamp())
            message |= {"timestamp": str(timestamp), "sign": sign(timestamp, self._secret)}
        return msgspec.json.encode(message)
