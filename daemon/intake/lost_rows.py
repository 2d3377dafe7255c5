"""Rows that lost their 任务ID: somebody saved, over the table, a copy from before they bore it.

A text editor that had the file open does that without a word. Taken as new, such rows would run a
second time, and the results of the first would find no row.
"""

import hashlib
from collections.abc import Callable, Collection, Mapping

import msgspec

from daemon.clock import Clock
from daemon.intake.earlier_ids import EarlierIds
from daemon.tables.cells import Row, as_text
from daemon.tables.columns import STATUS_KEYS
from daemon.words.headings import OUR_HEADINGS
from ledger.ledger import Ledger
from ledger.slices import SLICE, in_slices
from ledger.task import Json, Task

#: So long a row that went is looked for among the new ones; who writes the same row again later
#: wants it to run again. Of one that an earlier process took, from the first look on.
LOST_SECONDS = 600.0
#: What a row holds that was never told anything; a status and a word on an error may be older.
_TOLD = frozenset(OUR_HEADINGS) - {*STATUS_KEYS, "error", "command"}


class _Loss(msgspec.Struct, frozen=True, gc=False):
    """An id that stands nowhere any more."""

    at: float  # monotonic, when it was missed
    told: bytes  # a hash of what the row held that its task was made for


class LostRows:
    """Knows which ids stood in the table, and which task a row without one was taken for."""

    def __init__(
        self, ledger: Ledger, clock: Clock, inputs_of: Callable[[Row], Mapping[str, Json]]
    ) -> None:
        self._ledger = ledger
        self._clock = clock
        self._inputs_of = inputs_of
        self._standing: dict[str, None] = {}
        self._lost: dict[str, _Loss] = {}
        self._by_inputs: dict[bytes, list[str]] = {}  # of those that are looked for
        self.earlier = EarlierIds(ledger)  # which rows of theirs may bear instead
        self._just_lost: list[Task] = []
        self._unread: dict[str, float] = {}  # archived, perhaps, where damage is; as ``_Loss.at``
        self.damage: tuple[str, ...] = ()  # of the archive, as of the last time it was needed

    def expect(self, key: str) -> None:
        """Note that a row bears *key* from now on."""
        self._standing[key] = None

    def forget(self, key: str) -> None:
        """Note that the row with *key* is not looked for: it bears another one, or was found."""
        self._standing.pop(key, None)
        loss = self._lost.pop(key, None)
        if loss is not None and key in (alike := self._by_inputs.get(loss.told, [])):
            alike.remove(key)

    async def look(self, seen: Collection[str]) -> None:
        """Take in which ids stand in the table now; all that stand there, or nothing is right.

        A row whose task cannot be read in the archive is taken for a new one, like any that the
        ledger does not know; its id is looked for again as long as other lost ones are.
        """
        now = self._clock.monotonic()
        self._lost = {
            key: loss
            for key, loss in self._lost.items()
            if key not in seen and now - loss.at < LOST_SECONDS
        }
        missed = [key for key in self._standing if key not in seen]
        await in_slices(map(self._miss, missed))
        await self._miss_archived(missed, seen)
        self.earlier.keep(self._lost)
        await self.earlier.learn(self._just_lost)
        self._just_lost = []
        self._standing = dict.fromkeys(seen)
        self._by_inputs = {}
        await in_slices(map(self._seek, self._lost))

    def _miss(self, key: str) -> None:
        """Note that no row bears *key*, if its task is not archived."""
        task = self._ledger.index.find_task(key)
        if task is not None:
            self._lose(task)

    async def _miss_archived(self, keys: Collection[str], seen: Collection[str]) -> None:
        """Note likewise that no row bears these; only the archive may know them."""
        now = self._clock.monotonic()
        since = {key: at for key, at in self._unread.items() if now - at < LOST_SECONDS}
        since |= {key: now for key in keys if self._ledger.index.find_task(key) is None}
        unknown = [key for key in since if key not in seen]
        self._unread = {}
        damage: list[str] = []
        for start in range(0, len(unknown), SLICE):
            part = unknown[start : start + SLICE]
            found = await self._ledger.find_all_archived({*part})
            await in_slices(map(self._lose, found.tasks.values()))
            if found.damage:
                damage += found.damage
                self._unread |= {key: since[key] for key in part if key not in found.tasks}
        if unknown:
            self.damage = tuple(dict.fromkeys(damage))

    def _lose(self, task: Task) -> None:
        """Note that no row bears the task's id, unless a later run of its row replaced it."""
        row = task.metadata.table_row
        if row is not None and row.key == task.task_id and row.replaced_by is None:
            told = _told(task.metadata.feishu_row_data)
            self._lost[task.task_id] = _Loss(self._clock.monotonic(), told)
            self._just_lost.append(task)

    def _seek(self, key: str) -> None:
        self._by_inputs.setdefault(self._lost[key].told, []).append(key)

    def take_id_of(self, row: Row) -> str | None:
        """Return the id of the row that *row* was, None for a new one; each once."""
        if not self._by_inputs or any(row.text(key) or key in row.files for key in _TOLD):
            return None
        keys = self._by_inputs.get(_told(self._inputs_of(row)))
        return keys.pop(0) if keys else None


def _told(values: Mapping[str, Json]) -> bytes:
    """Return a hash of what people filled in, as they see it."""
    told = sorted((key, as_text(value)) for key, value in values.items() if value != "")
    return hashlib.blake2b(repr(told).encode("utf-8", "replace"), digest_size=16).digest()
