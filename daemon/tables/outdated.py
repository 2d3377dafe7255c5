"""Rows that bear an id which a later run of the row replaced: an older copy was saved over them.

As long as no row bears the latest id, such a row is the row. It gets that id back and is noted as
overwritten, so that it is told what came of the latest run.
"""

from collections.abc import Container, Iterable, Sequence
from typing import Protocol

import msgspec

from daemon import failpoint
from daemon.tables.cells import Change, Result, Row, Value
from daemon.tables.handle import TableHandle
from daemon.tables.overwritten import Overwritten
from daemon.tables.status import Command, read_command
from ledger.ledger import Ledger
from ledger.task import Task


class View(Protocol):
    """Where tasks are looked up."""

    def find_task(self, task_id: str) -> Task | None:
        """Return a task, None when the ledger has none (any more)."""
        ...


class Outdated(msgspec.Struct, frozen=True, kw_only=True):
    """A row with the id of an earlier run."""

    row: Row
    latest: Task  # the first one of the latest run

    @property
    def key(self) -> str:
        """The id that the row is to bear."""
        return self.latest.task_id


def outdated_among(
    rows: Iterable[tuple[Row, Task]], standing: Container[str], view: View
) -> list[Outdated]:
    """Return which of *rows* stand for a row that bears its latest id nowhere; others are copies.

    *rows*: each with the task, replaced, whose id it bears; *standing*: the ids in the table. Of
    several that were one row the one with the latest id is returned.
    """
    found: dict[str, Outdated] = {}
    for row, task in sorted(rows, key=lambda each: each[1].created_at, reverse=True):
        latest = _latest_run(task, view)
        if latest is not None and latest.task_id not in standing:
            found.setdefault(latest.task_id, Outdated(row=row, latest=latest))
    return list(found.values())


async def renew(outdated: Sequence[Outdated], handle: TableHandle, ledger: Ledger) -> int:
    """Write the latest ids into their rows, return into how many; call with ``handle.writing``.

    The notes come first, as nothing else tells a row with the latest id that shows an earlier
    run's end; one that a kill leaves without its row finds none and goes, and the row is found
    outdated again. Raises TableError, LedgerError.
    """
    notes = [
        Overwritten(table=handle.name, key=each.key, task_id=each.key).as_meta()
        for each in outdated
    ]
    await ledger.commit(*notes, op="row.overwritten", actor=handle.actor)
    failpoint.reach("renew.noted")
    changes = [Change(row=each.row, cells=_latest_cells(each, handle)) for each in outdated]
    outcomes = await handle.table.write(changes)
    failpoint.reach("renew.marked")
    return sum(outcome.result is Result.WRITTEN for outcome in outcomes)


def _latest_run(task: Task, view: View) -> Task | None:
    """Return the first task of the last run of a row, None when the ledger forgot it."""
    latest: Task | None = task
    while latest is not None and (row := latest.metadata.table_row) is not None:
        if row.replaced_by is None:
            return latest
        latest = view.find_task(row.replaced_by)
    return None


def _latest_cells(outdated: Outdated, handle: TableHandle) -> dict[str, Value]:
    """Return the id, without the 重跑 that the latest run obeyed: it may be in the copy too."""
    row, cells = outdated.row, dict[str, Value](task_id=outdated.key)
    is_rerun = read_command(row.text("command")) is Command.RERUN
    if is_rerun and handle.original(outdated.latest).is_made_of(row):
        cells["command"] = None
    return cells
