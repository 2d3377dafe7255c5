"""The runs of a table's row: the ledger gives the row an id for each."""

from collections.abc import Iterator

from ledger.index import Index
from ledger.task import Task


def row_ids_of(index: Index, first: Task) -> Iterator[str]:
    """Yield the ids of the row of *first*, a task of its first run: one more a rerun of its batch.

    In their order; *first* may be archived, and whether there are tasks of a run is not asked.
    """
    place = first.row_id.rpartition(":")[2]
    yield first.row_id
    for batch_id in index.reruns_of(first.batch_id):
        yield f"{batch_id}:{place}"
