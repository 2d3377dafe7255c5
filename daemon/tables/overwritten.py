"""Rows whose cells somebody saved an older copy over, as the ledger notes them until they are told.

Who finds such a row writes the note; the outbox tells the row anew, whatever it told before, and
removes the note. A kill in between leaves the note, and so the row is told at the next start.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Protocol

import msgspec

from daemon.tables.cells import Row
from daemon.tables.columns import Columns
from daemon.tables.status import RowStatus
from ledger.entry import Meta
from ledger.status import Stage
from ledger.task import Json, Task

SECTION = "overwritten"
#: At a start, rows that were done so long before are looked for among those without an id; until
#: then they are not archived.
REMEMBERED_FOR = timedelta(days=7)


class View(Protocol):
    """Where notes are read from."""

    def meta(self, section: str) -> Mapping[str, Json]:
        """Return a section of the ledger's meta part."""
        ...


class Overwritten(msgspec.Struct, frozen=True, kw_only=True):
    """One row of a table that does not say any more what it was told."""

    table: str
    key: str  # by which the table finds it
    task_id: str  # of one of its tasks

    def as_meta(self, *, stands: bool = True) -> Meta:
        """Return the record that makes the note, or removes it."""
        value = msgspec.to_builtins(self) if stands else None
        return Meta(section=SECTION, key=f"{self.table}:{self.key}", value=value)


def overwritten_rows(view: View, table: str) -> list[Overwritten]:
    """Return the notes of *table* that stand."""
    return list(_of(table, view.meta(SECTION).values()))


def is_overwritten(view: View, table: str, key: str) -> bool:
    """Say whether the note of a row stands: it will be told anew."""
    return f"{table}:{key}" in view.meta(SECTION)


def newly_overwritten(table: str, records: Iterable[object]) -> list[Overwritten]:
    """Return the notes of *table* that these records make."""
    noted = (each for each in records if isinstance(each, Meta) and each.section == SECTION)
    return list(_of(table, (each.value for each in noted)))


def says_less(row: Row, status: RowStatus | None, columns: Columns, newest: Sequence[Task]) -> bool:
    """Say whether a row was told its end and says less now: an older copy of it was saved.

    Who only empties the status leaves the time of its end, or its results.
    """
    if status is RowStatus.PROCESSING:
        return True
    done = all(each.stage is Stage.DONE for each in newest)
    told = ("finished_at", *(("output_image", "output_video") if done else ()))
    there = [key for key in told if key in columns]
    empty = not any(row.text(key) or key in row.files for key in there)
    return status is RowStatus.READY and bool(there) and empty


def _of(table: str, values: Iterable[Json]) -> Iterator[Overwritten]:
    for value in values:
        if value is not None and (note := msgspec.convert(value, Overwritten)).table == table:
            yield note
