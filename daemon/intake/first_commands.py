"""Commands of rows that are only being taken: obeyed by the transaction that records the row.

So a server never sees the task of a row that came with 取消. The note says that the word was
obeyed; the next look finds it in the cell, empties that, and does nothing again.
"""

from collections.abc import Iterator, Sequence

import msgspec

from daemon.intake.claimed import ClaimedRow
from daemon.intake.obeyed import note_of
from daemon.tables.answers import Answer
from daemon.tables.status import Command, read_command
from daemon.words import Words
from ledger.batch import Batch, BatchStatus
from ledger.entry import Meta
from ledger.index import Index
from ledger.status import STATUS_OF, Stage
from ledger.task import Task


class Commanded(msgspec.Struct, frozen=True):
    """The records of rows that are being taken, once their commands are obeyed."""

    batch: Batch
    tasks: list[Task]
    notes: list[Meta]


def obey_first(
    batch: Batch,
    rows: Sequence[tuple[ClaimedRow, Sequence[Task]]],
    index: Index,
    words: Words,
    at: str,
) -> Commanded:
    """Return the records of *rows*, which join *batch*: cancelled, paused, put first as wished.

    Other words are left to the next look, when the rows are recorded.
    """
    tasks: list[Task] = []
    notes: list[Meta] = []
    top: int | None = None
    for row, new in rows:
        own, told = list(new), None
        match read_command(row.command):
            case Command.CANCEL:
                own = [_cancelled(task, at) for task in new]
                told = words("action.cancelled", task=own[0].task_id)
            case Command.PAUSE if batch.status is BatchStatus.RUNNING:
                batch = msgspec.structs.replace(batch, status=BatchStatus.PAUSED, halted_at=at)
                told = words("table.batch_paused")
            case Command.URGENT:
                top = max(_priorities(batch, rows, index), default=0) if top is None else top
                top += 1
                own = [msgspec.structs.replace(task, priority=top) for task in new]
                told = words("action.put_first", priority=top)
        tasks += own
        if row.answer is not None:
            notes.append(Answer(table=row.table, key=row.key, said=row.answer, at=at).as_meta())
        if told is not None:
            notes.append(note_of(row.table, row.key, row.command, told))
    return Commanded(batch, tasks, notes)


def _cancelled(task: Task, at: str) -> Task:
    """Return the task as one that ended before it was ever ready; its first version."""
    return msgspec.structs.replace(
        task,
        stage=Stage.CANCELLED,
        status=STATUS_OF[Stage.CANCELLED],
        finished_at=at,
        processed_at=at,
    )


def _priorities(
    batch: Batch, rows: Sequence[tuple[ClaimedRow, Sequence[Task]]], index: Index
) -> Iterator[int]:
    """Yield the priorities of what will wait in the batch, the highest among them."""
    for _, tasks in rows:
        yield from (task.priority for task in tasks)
    for workflow_type in index.waiting_types(batch.batch_id):
        yield next(index.waiting(batch.batch_id, workflow_type)).priority  # the highest
