"""Questions: the running daemon is asked, which has it all in memory; else the ledger is read.

Reading needs no lock, so a daemon that does not answer stands in nobody's way.
"""

from collections.abc import Callable, Sequence
from typing import TypeVar
from urllib.parse import urlencode

import msgspec

from daemon.cli.acting import client_of_holder
from daemon.cli.invocation import Invocation
from daemon.cli.refusal import Refusal
from daemon.web.batch_documents import BatchDocument, BatchesDocument
from daemon.web.paging import Wanted, look_back, look_through
from daemon.web.standing import batch_document
from daemon.web.task_documents import TaskPage
from ledger.jsondir.reader import read_index
from ledger.status import Stage
from ledger.steps import at_once

T = TypeVar("T")

#: Tasks on a page when nobody says how many.
PAGE = 1000
#: The daemon itself cannot be asked; whatever else it refuses, the ledger would refuse too.
_NOBODY_THERE = frozenset({"door_closed", "door_silent", "door_token", "unknown_path"})


def asked(invocation: Invocation, path: str, kind: type[T], from_disk: Callable[[], T]) -> T:
    """Return what the daemon answers, or what the ledger says when none can be asked.

    Raises Refusal for what the daemon refuses, and what *from_disk* raises.
    """
    try:
        if (daemon := client_of_holder(invocation)) is not None:
            return msgspec.convert(daemon.get(path), kind)
    except Refusal as error:
        if error.code not in _NOBODY_THERE:
            raise
    return from_disk()


def batches_named(invocation: Invocation) -> Sequence[BatchDocument]:
    """Return all batches."""

    def from_disk() -> BatchesDocument:
        index = read_index(invocation.settings.ledger.path)
        return BatchesDocument([batch_document(index, batch) for batch in index.batches()])

    return asked(invocation, "/api/batches", BatchesDocument, from_disk).batches


def task_page(
    invocation: Invocation, wanted: Wanted, *, newest: int | None, cursor: str | None
) -> TaskPage:
    """Return the *newest* so many wanted tasks, or a page of them behind *cursor*."""

    def from_disk() -> TaskPage:
        index = read_index(invocation.settings.ledger.path)
        if newest is not None:
            page = at_once(look_back(index, wanted, newest))
        else:
            page = at_once(look_through(index, wanted, PAGE, cursor))
        return TaskPage(page.tasks, page.next_cursor)

    if newest is not None and newest > PAGE:  # more than the daemon tells at once
        return from_disk()
    if not wanted.stages:
        return TaskPage([], None)
    query: list[tuple[str, str]] = [("limit", str(newest or PAGE))]
    if set(wanted.stages) != set(Stage):
        query += [("status", stage.value) for stage in sorted(wanted.stages)]
    given = {"type": wanted.workflow_type, "batch": wanted.batch_id, "cursor": cursor}
    query += [(name, value) for name, value in given.items() if value is not None]
    if newest is not None:
        query.append(("newest", "true"))
    return asked(invocation, f"/api/tasks?{urlencode(query)}", TaskPage, from_disk)
