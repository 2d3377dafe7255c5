"""How a table stands: what keeps it from being read or written, kept in the ledger's meta part."""

from collections.abc import Mapping
from typing import Protocol

import msgspec

from daemon.tables.errors import Trouble
from ledger.task import Json

SECTION = "tables"
#: So many rows that cannot run are noted with their reason; the others are counted.
REFUSED_NOTED = 10


class Hindrance(msgspec.Struct, frozen=True, kw_only=True):
    """A trouble that lasts."""

    trouble: Trouble
    since: str


class RefusedRow(msgspec.Struct, frozen=True, kw_only=True):
    """A row that cannot run, and why."""

    place: str  # where it was seen
    trouble: Trouble


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """What a person should know of a table; None and 0 when all is well."""

    reading: Hindrance | None = None  # no rows are taken
    writing: Hindrance | None = None  # no results are written; they wait in the outbox
    refused: int = 0  # rows that wait and cannot run; the reason stands in each
    refused_rows: tuple[RefusedRow, ...] = ()  # the first of them, at most REFUSED_NOTED
    headings: dict[str, str] = {}  # what the table calls the columns that we fill, by key
    edited: tuple[str, ...] = ()  # finished rows whose inputs were changed since: their keys


class View(Protocol):
    """Where a standing is read from."""

    def meta(self, section: str) -> Mapping[str, Json]:
        """Return a section of the ledger's meta part."""
        ...


def standing_of(view: View, table: str) -> Standing:
    """Return how *table* stands, as last noted."""
    noted = view.meta(SECTION).get(table)
    return Standing() if noted is None else msgspec.convert(noted, Standing)
