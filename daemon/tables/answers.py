"""Answers to commands, as the ledger keeps them until their row has its result.

A row is told anew of its task while that goes on, and what it is told holds the answer. Who obeys
a command writes the note before the cell; the outbox removes it once the row was told its end.
A kill in between leaves the note, and so the answer in the row until then.
"""

from collections.abc import Iterable, Mapping
from typing import Protocol

import msgspec

from ledger.entry import Meta
from ledger.task import Json, Task

SECTION = "answers"


class View(Protocol):
    """Where notes are read from."""

    def meta(self, section: str) -> Mapping[str, Json]:
        """Return a section of the ledger's meta part."""
        ...


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What the maker of a row is told of the last command in it."""

    table: str
    key: str  # by which the table finds the row
    said: str
    at: str  # when the command was seen

    def as_meta(self, *, stands: bool = True) -> Meta:
        """Return the record that makes the note, or removes it."""
        value = msgspec.to_builtins(self) if stands else None
        return Meta(section=SECTION, key=f"{self.table}:{self.key}", value=value)

    def is_newer_than(self, tasks: Iterable[Task]) -> bool:
        """Say whether all of *tasks* that have ended had done so before the command was seen."""
        return all(self.at > task.finished_at for task in tasks if task.finished_at)


def answer_in(view: View, table: str, key: str) -> Answer | None:
    """Return the answer that the row with *key* shows until it has its result."""
    value = view.meta(SECTION).get(f"{table}:{key}")
    return None if value is None else msgspec.convert(value, Answer)
