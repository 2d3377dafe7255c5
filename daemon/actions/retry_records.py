"""The records of a retry: the new task, and what it changes around it."""

from collections.abc import Generator, Iterator, Sequence

from daemon.actions.plan import View
from ledger.batch import Batch, BatchStatus
from ledger.entry import Record
from ledger.status import Stage
from ledger.task import Metadata, Task


def new_task(view: View, task: Task, task_id: str, *, at: str) -> Task:
    """Return the task that does the row of *task* once more, next in its family's line.

    Parameters are filled in anew when it is submitted, from the template of that day.
    """
    family = view.family(*task.family)
    source = task.metadata.source
    return Task(
        task_id=task_id,
        row_id=task.row_id,
        batch_id=task.batch_id,
        row_number=task.row_number,
        product_name=task.product_name,
        model_name=task.model_name,
        workflow_type=task.workflow_type,
        priority=task.priority,
        created_at=at,
        updated_at=at,
        row=task.row,
        inputs=task.inputs,
        depends_on=task.depends_on,
        retried_from=task.task_id,
        root_task_id=task.root_task_id,
        retry_number=1 + max((member.retry_number for member in family), default=0),
        publish=task.publish.due(),
        metadata=Metadata(
            feishu_row_data=task.metadata.feishu_row_data,
            source=source,
            table_row=task.metadata.table_row,
        ),
    )


def retried_records(
    view: View, batch: Batch, pairs: Sequence[tuple[Task, Task]], at: str
) -> Generator[None, None, list[Record]]:
    """Return all that is written when failed tasks get their retries; a step a pair."""
    records: list[Record] = []
    second = _second_stage_types(view, batch.batch_id)
    for task, new in pairs:
        records += [task.changed(at=at, retry_count=task.retry_count + 1), new]
        records += _unblocked(view, new.family, second, at)
        yield
    after = _batch_after(batch, at=at)
    return [*records, after] if after is not None else records


def _unblocked(view: View, family: tuple[str, str], second: list[str], at: str) -> Iterator[Task]:
    """Yield the waiting tasks that were blocked by a family which now has another chance."""
    for name in second:
        task = view.newest_of_family(family[0], name)
        if task is None or task.depends_on is None or task.stage is not Stage.WAITING:
            continue
        needs = (task.depends_on.row_id, task.depends_on.workflow_type)
        if needs == family and task.blocked_by is not None:
            yield task.changed(at=at, blocked_by=None)


def _batch_after(batch: Batch, *, at: str) -> Batch | None:
    """Return the batch as it stands after a retry, or None when it stays as it is.

    A completed one runs again, a halted one stays halted, and failures are counted anew.
    """
    if batch.status is BatchStatus.COMPLETED:
        return batch.changed(at=at, status=BatchStatus.RUNNING, failures_in_a_row=0)
    return batch.changed(at=at, failures_in_a_row=0) if batch.failures_in_a_row else None


def _second_stage_types(view: View, batch_id: str) -> list[str]:
    if not view.blocked_counts(batch_id)[2]:
        return []
    return list(view.family_counts(batch_id))
