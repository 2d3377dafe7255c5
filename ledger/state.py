"""The whole state of a ledger, and what a record does to it.

State = newest valid snapshot + all later complete transactions, applied in their order.
"""

from typing import TypeAlias

import msgspec

from ledger import taskids
from ledger.batch import Batch
from ledger.batches import Batches
from ledger.entry import ARCHIVED, CLAIMS, Meta, Record
from ledger.shelf import Shelf
from ledger.task import Json, Task

Sections: TypeAlias = dict[str, dict[str, Json]]

#: The sections of ``meta`` that a snapshot always shows, empty or not.
SECTIONS = ("servers", "drops", "idempotency", "counters")


def empty_sections() -> Sections:
    """Return the meta part of a new ledger."""
    return {section: {} for section in SECTIONS}


class State(msgspec.Struct, kw_only=True):
    """Everything a store holds when it is opened."""

    tasks: Shelf = msgspec.field(default_factory=Shelf)
    batches: Batches = msgspec.field(default_factory=Batches)
    meta: Sections = msgspec.field(default_factory=empty_sections)
    last_seq: int = 0
    damage: list[str] = msgspec.field(default_factory=list)  # what could not be read, in words


def apply(state: State, record: Record, encoded: bytes) -> None:
    """Make *state* what it is after *record*, which is *encoded* as JSON."""
    if isinstance(record, Task):
        if record.task_id in state.tasks:
            state.tasks.put(record, encoded)
        else:
            accept(state, record, encoded)
    elif isinstance(record, Batch):
        state.batches.put(record, encoded)
    elif record.section == ARCHIVED:
        state.tasks.remove(record.key)
    else:
        set_meta(state.meta, record)
        for task_id in claimed_ids(record):
            count_id(state.meta, task_id)


def accept(state: State, task: Task, encoded: bytes) -> None:
    """Take in a task that is not there, as ``apply`` does."""
    state.tasks.accept(task, encoded)
    count_id(state.meta, task.task_id)


def set_meta(sections: Sections, record: Meta) -> None:
    """Set or remove one key of the meta part."""
    section = sections.setdefault(record.section, {})
    if record.value is None:
        section.pop(record.key, None)
    else:
        section[record.key] = record.value


def claimed_ids(record: Meta) -> list[str]:
    """Return the task ids that a claim gives; its row may already bear one."""
    if record.section != CLAIMS or not isinstance(record.value, dict):
        return []
    ids = record.value.get("task_ids")
    return [each for each in ids if isinstance(each, str)] if isinstance(ids, list) else []


def count_id(sections: Sections, task_id: str) -> None:
    """Raise the id's counter to its number, so that it is never given again."""
    if (numbered := taskids.number_of(task_id)) is None:
        return
    counter, number = numbered
    counters = sections.setdefault("counters", {})
    known = counters.get(counter, 0)
    if not isinstance(known, int) or known < number:
        counters[counter] = number
