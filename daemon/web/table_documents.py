"""What is answered of tables."""

from collections.abc import Mapping, Sequence

import msgspec

from daemon.words import Words


class HindranceDocument(msgspec.Struct, frozen=True, kw_only=True):
    """What keeps a table from being read or written, and what mends it."""

    code: str
    message: str
    since: str


class RefusedRowDocument(msgspec.Struct, frozen=True, kw_only=True):
    """A row that cannot run, and why."""

    row: str  # its line, in a Bitable its record
    code: str
    message: str


class TableDocument(msgspec.Struct, frozen=True, kw_only=True):
    """A table of the settings, as the ledger knows it."""

    name: str
    kind: str
    place: str
    reading: HindranceDocument | None  # None: its rows are taken
    writing: HindranceDocument | None  # None: it is told of results
    unpublished: int  # tasks that have ended, and the table does not know
    being_taken: int  # rows that bear an id and are not recorded yet
    refused: int  # rows that cannot run; the reason stands in each
    refused_rows: list[RefusedRowDocument]  # the first ten of them
    edited: list[str]  # finished rows whose inputs were changed since: their task ids
    headings: dict[str, str]  # what the table calls the columns that we fill, by key


class TablesDocument(msgspec.Struct, frozen=True):
    """All tables of the settings."""

    tables: list[TableDocument]


class DifferenceDocument(msgspec.Struct, frozen=True, kw_only=True):
    """A cell that did not say what the ledger knows."""

    row: str
    column: str
    was: str
    now: str


class ReconciledDocument(msgspec.Struct, frozen=True, kw_only=True):
    """What was put right in one table; ``error``: why nothing (more) could be."""

    table: str
    rows: int = 0
    gone: list[str] = []
    refused: Mapping[str, str] = {}
    differences: Sequence[DifferenceDocument] = ()
    headings: Mapping[str, str] = {}  # what the table calls the columns that we fill, by key
    error: str | None = None


class ReconciliationDone(msgspec.Struct, frozen=True, kw_only=True):
    """The answer of `tables reconcile`."""

    success: bool
    changed: bool
    message: str
    tables: list[ReconciledDocument]


def reconciled(found: list[ReconciledDocument], words: Words) -> ReconciliationDone:
    """Return the answer for what was found in all tables."""
    cells = sum(len(each.differences) for each in found)
    failed = [each for each in found if each.error is not None]
    return ReconciliationDone(
        success=not failed,
        changed=cells > 0,
        message=words("outbox.reconciled", cells=cells, tables=len(found) - len(failed)),
        tables=found,
    )
