"""The same request sent twice is carried out once: answers are kept under the client's key.

The answer is written in the transaction of the change itself, so it is there exactly when the
change is, over restarts too. Keys are forgotten after KEPT_SECONDS.
"""

import asyncio
import hashlib
import re
import weakref
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager, nullcontext
from datetime import timedelta

import msgspec

from daemon.clock import Clock
from daemon.web.refusal import Refusal
from ledger.entry import Meta
from ledger.ledger import Ledger
from ledger.task import Json
from ledger.timestamps import to_timestamp

SECTION = "idempotency"
HEADER = "Idempotency-Key"
KEPT_SECONDS = 7 * 24 * 3600
#: Outdated keys that one new key takes away: two, so that they never pile up.
FORGOTTEN_AT_A_TIME = 2

_KEY = re.compile(r"[!-~]{1,200}")
_encode = msgspec.json.Encoder(order="deterministic").encode


class GivenAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """An answer that was given, and to what."""

    request: str  # sha256 of method, path and what was asked
    at: str
    answer: dict[str, Json]


class AnswersGiven:
    """Reads and makes the ledger's records of answers; the change's transaction writes them."""

    def __init__(self, ledger: Ledger, clock: Clock) -> None:
        self._ledger = ledger
        self._clock = clock
        self._locks: weakref.WeakValueDictionary[str, asyncio.Lock] = weakref.WeakValueDictionary()

    def one_at_a_time(self, key: str | None) -> AbstractAsyncContextManager[None]:
        """Return the lock under which requests with *key* are answered: none without one."""
        if key is None:
            return nullcontext()
        lock = self._locks.get(key)
        if lock is None:
            self._locks[key] = lock = asyncio.Lock()
        return lock

    def find(self, key: str | None, request: str) -> dict[str, Json] | None:
        """Return the answer given under *key*; raises Refusal (409) when it was another request."""
        record = self._ledger.meta(SECTION).get(key) if key else None
        if record is None:
            return None
        given = msgspec.convert(record, GivenAnswer)
        if given.at < self._oldest_kept():
            return None
        if given.request != request:
            raise Refusal("key_used", 409, key=str(key))
        return given.answer

    def records(
        self, key: str | None, request: str, answer: Mapping[str, Json]
    ) -> tuple[Meta, ...]:
        """Return what to write along with the change; nothing without a key."""
        if key is None:
            return ()
        at = to_timestamp(self._clock.now())
        given = msgspec.to_builtins(GivenAnswer(request=request, at=at, answer=dict(answer)))
        return (Meta(section=SECTION, key=key, value=given), *self._outdated(key))

    def _outdated(self, key: str) -> tuple[Meta, ...]:
        oldest = self._oldest_kept()
        found: list[Meta] = []
        for old, record in self._ledger.meta(SECTION).items():
            if (
                msgspec.convert(record, GivenAnswer).at >= oldest
                or len(found) == FORGOTTEN_AT_A_TIME
            ):
                break  # they stand there in the order of their making
            if old != key:
                found.append(Meta(section=SECTION, key=old, value=None))
        return tuple(found)

    def _oldest_kept(self) -> str:
        return to_timestamp(self._clock.now() - timedelta(seconds=KEPT_SECONDS))


def key_in(headers: Mapping[str, str]) -> str | None:
    """Return the client's key, or None; raises Refusal (400) for one that cannot be kept."""
    key = headers.get(HEADER)
    if key is not None and not _KEY.fullmatch(key):
        raise Refusal("bad_key", 400, header=HEADER)
    return key


def fingerprint(method: str, path: str, *asked: object) -> str:
    """Return what two requests share when they ask for the same."""
    return hashlib.sha256(_encode([method, path, *asked])).hexdigest()
