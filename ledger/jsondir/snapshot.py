"""ledger.json: the whole state as of a seq, one record a line, readable with ``jq``.

It bears a checksum like a journal line. A new one is made from the one before and the changes
since (``composition``).
"""

from collections.abc import Iterable
from typing import Self

import msgspec

from ledger.batch import Batch
from ledger.batches import decode_batch
from ledger.entry import ARCHIVED, Meta, Record, Transaction
from ledger.errors import LedgerDamaged
from ledger.jsondir.journal import is_sealed
from ledger.shelf import decode_task
from ledger.state import Sections, State, claimed_ids, count_id, empty_sections, set_meta
from ledger.task import Json, Task
from ledger.upgrade import upgraded

CURRENT = "ledger.json"
PREVIOUS = "ledger.previous.json"


class Document(msgspec.Struct, frozen=True):
    """A snapshot as read back; tasks stay encoded."""

    format: int
    written_at: str
    last_seq: int
    tasks: dict[str, msgspec.Raw]
    batches: dict[str, msgspec.Raw]
    meta: dict[str, dict[str, Json]]


class _Head(msgspec.Struct, frozen=True):
    format: int


_documents = msgspec.json.Decoder(Document)
_heads = msgspec.json.Decoder(_Head)


class Changes:
    """What happened since a snapshot: the newest encoded form of each record, None when it went.

    ``whole``: since the empty ledger; no snapshot is needed to make the next one.
    """

    def __init__(self, *, whole: bool = False) -> None:
        self.whole = whole
        self.tasks: dict[str, bytes | None] = {}
        self.batches: dict[str, bytes | None] = {}
        self.meta: dict[tuple[str, str], Meta] = {}
        self.claimed: dict[str, str] = {}  # by counter; a claim may be gone again by now

    @classmethod
    def of(cls, state: State) -> Self:
        """Return all of *state* as changes."""
        changes = cls(whole=True)
        for task_id in state.tasks:
            changes.tasks[task_id] = state.tasks.encoded(task_id)
        for batch_id in state.batches:
            changes.batches[batch_id] = state.batches.encoded(batch_id)
        for section, values in state.meta.items():
            for key, value in values.items():
                changes.meta[section, key] = Meta(section=section, key=key, value=value)
        return changes

    def __len__(self) -> int:
        return len(self.tasks) + len(self.batches) + len(self.meta)

    def add(self, record: Record, encoded: bytes) -> None:
        """Take in a durable record."""
        if isinstance(record, Task):
            self.tasks[record.task_id] = encoded
        elif isinstance(record, Batch):
            self.batches[record.batch_id] = encoded
        elif record.section == ARCHIVED:
            self.tasks[record.key] = None
        else:
            self.meta[record.section, record.key] = record
            for task_id in claimed_ids(record):
                self.claimed[task_id.rpartition("_")[0]] = task_id

    def take(self, transactions: Iterable[Transaction]) -> list[str | None]:
        """Take in durable transactions, in their order; return each record's task, if any."""
        task_ids: list[str | None] = []
        tasks = self.tasks
        for transaction in transactions:
            if (task := transaction.task) is not None:  # as most are
                task_id = task.task_id
                (tasks[task_id],) = transaction.encoded
                task_ids.append(task_id)
                continue
            for record, encoded in zip(transaction.records, transaction.encoded, strict=True):
                self.add(record, encoded)
                task_ids.append(record.task_id if isinstance(record, Task) else None)
        return task_ids

    def follow(self, later: "Changes") -> None:
        """Take in the changes that came after these."""
        self.tasks.update(later.tasks)
        self.batches.update(later.batches)
        self.meta.update(later.meta)
        self.claimed.update(later.claimed)

    def apply_to_meta(self, sections: Sections, new_task_ids: Iterable[str]) -> None:
        """Bring a meta part up to date, the counters of the ids included.

        *new_task_ids*: of the changed tasks those that it has not counted yet.
        """
        for record in self.meta.values():
            set_meta(sections, record)
        for task_id in (*new_task_ids, *self.claimed.values()):
            count_id(sections, task_id)


def told(name: str, error: LedgerDamaged) -> str:
    """Return what is wrong with the snapshot *name*, which is named once."""
    what = str(error)
    return what if what.startswith(name) else f"{name}: {what}"


def read(data: bytes) -> State:
    """Return the state a snapshot's bytes hold, all of it in memory; old formats are known, too.

    Raises LedgerDamaged when they are not as they were written, LedgerTooNew for a newer format.
    """
    try:
        found = _heads.decode(data).format
        if not (data.endswith(b"\n") and is_sealed(memoryview(data)[:-1])):
            raise LedgerDamaged("the checksum does not fit")
        document = _documents.decode(upgraded(data, found))
        state = State(last_seq=document.last_seq, meta=empty_sections() | document.meta)
        for raw in document.tasks.values():
            state.tasks.put(decode_task(raw), bytes(raw))
        for raw in document.batches.values():
            state.batches.put(decode_batch(raw), bytes(raw))
    except msgspec.MsgspecError as error:
        raise LedgerDamaged(str(error)) from error
    return state
