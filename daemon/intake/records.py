"""Accepted rows → the batch and tasks that the ledger holds; pure but for the random id."""

import secrets
import unicodedata
from collections.abc import Mapping, Sequence

import msgspec

from daemon.intake.columns import WorkflowNeeds
from daemon.intake.rows import FIELDS, WantedRow, own_picture_columns
from ledger.batch import Batch
from ledger.task import Dependency, InputFile, Json, Metadata, Publish, Source, TableRow, Task

_BASE32 = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's: no i, l, o, u
_MAX_SLUG_CHARACTERS = 40


class AcceptedRow(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A row whose pictures lie in the content store."""

    wanted: WantedRow
    inputs: dict[str, InputFile]
    fingerprint: str


def new_batch_id(name: str) -> str:
    """Return a batch id for the drop *name*: its slug and six random characters."""
    return f"{slug(name)}-{''.join(secrets.choice(_BASE32) for _ in range(6))}"


def slug(name: str) -> str:
    """Return *name* in lower case with only letters, digits and single hyphens; CJK stays."""
    plain = unicodedata.normalize("NFC", name).lower()
    words = "".join(char if char.isalnum() else " " for char in plain).split()
    return "-".join(words)[:_MAX_SLUG_CHARACTERS].strip("-") or "job"


def new_batch(
    batch_id: str, source: Source, at: str, options: Mapping[str, Json] | None = None
) -> Batch:
    """Return the batch that *source* begins."""
    return Batch(
        batch_id=batch_id,
        name=source.name,
        source=source,
        created_at=at,
        updated_at=at,
        options=dict(options or {}),
    )


def new_tasks(
    row: AcceptedRow,
    task_ids: Sequence[str],
    batch: Batch,
    needs: Mapping[str, WorkflowNeeds],
    at: str,
) -> list[Task]:
    """Return a task for each stage of the row; the second waits for the first one's picture."""
    wanted, origin = row.wanted, batch.source
    types = wanted.workflow_types
    row_id = f"{batch.batch_id}:{wanted.ordinal}"
    tasks: list[Task] = []
    for stage, (workflow_type, task_id) in enumerate(zip(types, task_ids, strict=True)):
        columns = own_picture_columns(types, stage, needs)
        elsewhere = FIELDS | columns
        source = Source(
            kind=origin.kind,
            name=origin.name,
            line=wanted.line,
            fingerprint=row.fingerprint if not stage else None,
        )
        tasks.append(
            Task(
                task_id=task_id,
                root_task_id=task_id,
                row_id=row_id,
                batch_id=batch.batch_id,
                row_number=wanted.row_number,
                product_name=wanted.product_name,
                model_name=wanted.model_name,
                workflow_type=workflow_type,
                priority=wanted.priority,
                created_at=at,
                updated_at=at,
                row={k: v for k, v in wanted.values.items() if k not in elsewhere},
                inputs={k: file for k, file in row.inputs.items() if k in columns},
                depends_on=Dependency(row_id=row_id, workflow_type=types[0]) if stage else None,
                metadata=Metadata(source=source),
            )
        )
    return tasks


def of_table(
    tasks: Sequence[Task], row: TableRow, values: Mapping[str, Json], line: int | None
) -> list[Task]:
    """Return the tasks as those of *row*, which is told of them.

    The table's own row is what makes two of them the same, never their values; *values* are its
    cells as they were taken, *line* is where it stood then, if its table counts lines.
    """
    row_id = f"{row.table}:{tasks[0].task_id}"
    return [
        msgspec.structs.replace(
            task,
            row_id=row_id,
            depends_on=task.depends_on and msgspec.structs.replace(task.depends_on, row_id=row_id),
            publish=Publish(state="pending"),
            metadata=msgspec.structs.replace(
                task.metadata,
                feishu_row_data=dict(values),
                table_row=row,
                source=task.metadata.source
                and msgspec.structs.replace(task.metadata.source, fingerprint=None, line=line),
            ),
        )
        for task in tasks
    ]
