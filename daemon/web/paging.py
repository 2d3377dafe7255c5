"""Pages of tasks that stay true while the ledger changes: a cursor is the last task shown.

Tasks are listed in the order of their acceptance, and new ones only ever come at the end.
"""

import base64
import binascii
from collections.abc import Collection, Generator
from typing import TYPE_CHECKING

import msgspec

from daemon.web.refusal import Refusal
from ledger.status import IN_PROCESS_STAGES, OPEN_STAGES, Stage
from ledger.task import Task

if TYPE_CHECKING:  # slow to import, and a command that asks the daemon needs none
    from ledger.index import Index

#: Tasks looked at in one go.
SLICE = 200


class Cursor(msgspec.Struct, frozen=True, array_like=True):
    """The last task of a page."""

    task_id: str
    created_at: str


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """Which tasks to list."""

    stages: Collection[Stage]  # all of them: every task
    batch_id: str | None = None
    workflow_type: str | None = None
    newest_only: bool = False  # leave out what was retried

    def fits(self, task: Task) -> bool:
        """Say whether *task* is to be listed."""
        return (
            task.stage in self.stages
            and self.workflow_type in (None, task.workflow_type)
            and not (self.newest_only and task.retry_count)
        )


class Page(msgspec.Struct, frozen=True):
    """Some tasks, and where the next ones begin, if there are any."""

    tasks: list[Task]
    next_cursor: str | None


def look_through(
    index: "Index", wanted: Wanted, limit: int, cursor: str | None = None
) -> Generator[None, None, Page]:
    """Find up to *limit* of the wanted tasks behind *cursor*; yields whenever others may go.

    Raises Refusal for a bad cursor, UnknownRecord for a batch that is not there.
    """
    if wanted.batch_id is not None:
        index.batch(wanted.batch_id)
    found: list[Task] = []
    ids, after = _behind(index, wanted, read_cursor(cursor))
    for looked_at, task_id in enumerate(ids, 1):
        task = _fitting(index, wanted, task_id)
        if task is not None and task.created_at > after:
            if len(found) == limit:
                return Page(found, cursor_behind(found[-1]))
            found.append(task)
        if looked_at % SLICE == 0:
            yield
    return Page(found, None)


def look_back(index: "Index", wanted: Wanted, limit: int) -> Generator[None, None, Page]:
    """Find the newest *limit* of the wanted tasks; as ``look_through``."""
    if wanted.batch_id is not None:
        index.batch(wanted.batch_id)
    found: list[Task] = []
    for looked_at, task_id in enumerate(reversed(_candidates(index, wanted)), 1):
        if len(found) == limit:
            break
        if (task := _fitting(index, wanted, task_id)) is not None:
            found.append(task)
        if looked_at % SLICE == 0:
            yield
    return Page(found[::-1], None)


def _candidates(index: "Index", wanted: Wanted) -> list[str]:
    """Return the ids to look at, in order; open tasks are found without touching the others."""
    if set(wanted.stages) <= IN_PROCESS_STAGES:
        return [
            task.task_id
            for task in index.in_stage(*wanted.stages)
            if wanted.batch_id in (None, task.batch_id)
        ]
    if wanted.batch_id is None and set(wanted.stages) <= OPEN_STAGES:
        return index.ids_in_stage(*wanted.stages)
    return index.task_ids(wanted.batch_id)


def _fitting(index: "Index", wanted: Wanted, task_id: str) -> Task | None:
    """Return the task if it is to be listed; only then it is read and decoded."""
    if index.stage_of(task_id) not in wanted.stages:
        return None
    task = index.find_task(task_id)
    return task if task is not None and wanted.fits(task) else None


def _behind(index: "Index", wanted: Wanted, cursor: Cursor | None) -> tuple[list[str], str]:
    """Return the ids accepted after the cursor's task, wherever that is now.

    When it was archived meanwhile, these are of all tasks made after the time that comes with them.
    """
    ids = _candidates(index, wanted)
    if cursor is None:
        return ids, ""
    every = index.task_ids(wanted.batch_id)
    for listed in (ids, every):  # the task may have left its stage since
        try:
            return listed[listed.index(cursor.task_id) + 1 :], ""
        except ValueError:
            continue
    return ids, cursor.created_at


def cursor_behind(task: Task) -> str:
    """Return the cursor for what comes behind *task*."""
    encoded = msgspec.json.encode(Cursor(task.task_id, task.created_at))
    return base64.urlsafe_b64encode(encoded).decode().rstrip("=")


def read_cursor(text: str | None) -> Cursor | None:
    """Return what ``cursor_behind`` wrote; raises Refusal (400) for anything else."""
    if text is None:
        return None
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        return msgspec.json.decode(raw, type=Cursor)
    except (binascii.Error, ValueError, msgspec.DecodeError) as error:
        raise Refusal("bad_cursor", 400) from error
