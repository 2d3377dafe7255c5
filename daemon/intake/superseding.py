"""A row that is run anew bears another id from then on: the one it bore is no row's any more."""

from collections.abc import Iterator

import msgspec

from daemon.tables.answers import answer_in
from daemon.tables.runs import row_ids_of
from ledger.entry import Meta
from ledger.index import Index
from ledger.task import Task


def superseded_tasks(index: Index, replaced: str, by: str, at: str) -> Iterator[Task | Meta]:
    """Yield what becomes of the tasks of a row that bore *replaced* and now bears *by*.

    No table is told of them again, nor of their retries, nor of an answer to a command; of a copy
    that still bears the old id, that it is one. Archived tasks are never told anyway.
    """
    first = index.find_task(replaced)
    if first is None or (row := first.metadata.table_row) is None:
        return
    if (answer := answer_in(index, row.table, row.key)) is not None:
        yield answer.as_meta(stands=False)
    left = msgspec.structs.replace(row, replaced_by=by)
    for row_id in row_ids_of(index, first):
        for task in map(index.task, index.row(row_id)):
            yield task.changed(
                at=at,
                publish=msgspec.structs.replace(task.publish, state="none", error=None),
                metadata=msgspec.structs.replace(task.metadata, table_row=left),
            )
