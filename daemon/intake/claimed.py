"""Rows of a table that bear their task's id, and the batch that they belong to."""

from collections.abc import Mapping

import msgspec

from daemon.intake.columns import WorkflowNeeds
from daemon.intake.records import AcceptedRow, new_batch, new_batch_id, new_tasks, of_table
from daemon.words import Words
from ledger.batch import Batch, BatchStatus
from ledger.ledger import Ledger
from ledger.status import OPEN_STAGES
from ledger.task import Json, Source, TableRow, Task


class ClaimedRow(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A checked row of a table that bears the id of its first task."""

    accepted: AcceptedRow
    table: str
    key: str  # by which the table finds it
    task_ids: tuple[str, ...]
    values: dict[str, Json]  # its cells as they were taken
    line: int | None  # where it stood then; None where lines have no numbers
    command: str  # what stood in its 命令 then
    answer: str | None = None  # what its maker is told of a command that was fulfilled before
    replaces: str | None = None  # the id that it bore until then

    def tasks(self, batch: Batch, needs: Mapping[str, WorkflowNeeds], at: str) -> list[Task]:
        """Return its tasks, to be recorded in *batch*."""
        tasks = new_tasks(self.accepted, self.task_ids, batch, needs, at)
        types = self.accepted.wanted.workflow_types
        row = TableRow(table=self.table, key=self.key, workflow_types=types, replaces=self.replaces)
        return of_table(tasks, row, self.values, self.line)


class Claimed(msgspec.Struct, frozen=True, kw_only=True):
    """Rows of one table that are taken together."""

    table: str
    rows: tuple[ClaimedRow, ...]
    words: Words  # the language of what their makers are told
    replaced: Mapping[str, str] = {}  # ids that these rows bore before → what they bear now


def batch_of_table(ledger: Ledger, table: str, at: str) -> Batch:
    """Return the batch that rows of *table* taken now belong to, one version on, or a new one.

    Rows join the table's newest batch until it is completed, or failed with nothing left open.
    """
    source = Source(kind="table", name=table)
    batches = map(ledger.batch, reversed(ledger.index.batches_of_table(table)))
    own = (batch for batch in batches if batch.source == source and batch.rerun_of is None)
    newest = next(own, None)
    if newest is None or _is_over(ledger, newest):
        return new_batch(new_batch_id(table), source, at)
    return newest.changed(at=at)


def _is_over(ledger: Ledger, batch: Batch) -> bool:
    if batch.status is BatchStatus.FAILED:
        counts = ledger.counts(batch.batch_id)
        return not any(counts[stage] for stage in OPEN_STAGES)
    return batch.status is BatchStatus.COMPLETED
