"""Rows that lost their 任务ID: somebody saved, over the table, a copy from before they bore it.

A text editor that had the file open does that without a word. Taken as new, such rows would run a
second time, and the results of the first would find no row.
"""

import hashlib
from collections import deque
from collections.abc import Callable, Collection, Mapping

import msgspec

from daemon.clock import Clock
from daemon.tables.cells import Row, as_text
from daemon.tables.columns import OUR_HEADINGS, STATUS_KEYS
from ledger.index import Index
from ledger.task import Json, Task

#: So long a row that went is looked for among the new ones; who writes the same row again later
#: wants it to run again. Of one that an earlier process took, from the first look on.
LOST_SECONDS = 600.0
#: What a row holds that was never told anything; a status and a word on an error may be older.
_TOLD = frozenset(OUR_HEADINGS) - {*STATUS_KEYS, "error", "command"}


class _Loss(msgspec.Struct, frozen=True):
    """An id that stands nowhere any more."""

    at: float  # monotonic, when it was missed
    told: bytes  # a hash of what the row held that its task was made for


class LostRows:
    """Knows which ids stood in the table, and which task a row without one was taken for."""

    def __init__(
        self, index: Index, clock: Clock, inputs_of: Callable[[Row], Mapping[str, Json]]
    ) -> None:
        self._index = index
        self._clock = clock
        self._inputs_of = inputs_of
        self._standing: dict[str, None] = {}
        self._lost: dict[str, _Loss] = {}
        self._by_inputs: dict[bytes, deque[str]] = {}  # of those that are looked for

    def expect(self, key: str) -> None:
        """Note that a row bears *key* from now on."""
        self._standing[key] = None

    def forget(self, key: str) -> None:
        """Note that the row with *key* bears another one from now on."""
        self._standing.pop(key, None)
        self._lost.pop(key, None)

    def look(self, seen: Collection[str]) -> None:
        """Take in which ids stand in the table now; all that stand there, or nothing is right."""
        now = self._clock.monotonic()
        self._lost = {
            key: loss
            for key, loss in self._lost.items()
            if key not in seen and now - loss.at < LOST_SECONDS
        }
        for key in self._standing:
            if key in seen or (task := self._index.find_task(key)) is None:
                continue
            if task.metadata.table_row and task.metadata.table_row.replaced_by is None:
                self._lost[key] = _Loss(now, _told(task.metadata.feishu_row_data))
        self._standing = dict.fromkeys(seen)
        self._by_inputs = {}
        for key, loss in self._lost.items():
            self._by_inputs.setdefault(loss.told, deque()).append(key)

    def take_task_of(self, row: Row) -> Task | None:
        """Return the first task of the row that *row* was, None for a new one; each once."""
        if not self._by_inputs or any(row.text(key) or key in row.files for key in _TOLD):
            return None
        keys = self._by_inputs.get(_told(self._inputs_of(row)))
        return self._index.find_task(keys.popleft()) if keys else None


def _told(values: Mapping[str, Json]) -> bytes:
    """Return a hash of what people filled in, as they see it."""
    told = sorted((key, as_text(value)) for key, value in values.items() if value != "")
    return hashlib.blake2b(repr(told).encode("utf-8", "replace"), digest_size=16).digest()
