"""What is answered of tasks."""

import msgspec

from daemon.web.documents import Done
from ledger.status import Stage, Status
from ledger.task import Json, Task


class TaskPage(msgspec.Struct, frozen=True):
    """Some tasks in the order of acceptance; ``next_cursor`` asks for those behind."""

    tasks: list[Task]
    next_cursor: str | None


class TaskRow(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """What lists and events say of a task; a field with its default value is left out."""

    task_id: str
    batch_id: str
    row_id: str
    row_number: str | int
    product_name: str = ""
    model_name: str = ""
    workflow_type: str
    status: Status
    stage: Stage
    priority: int = 0
    created_at: str
    updated_at: str
    started_at: str | None = None
    finished_at: str | None = None
    server: str | None = None
    attempt: int = 0
    comfyui_task_id: str | None = None
    not_before: str | None = None
    requested: str | None = None
    blocked_by: str | None = None
    error_kind: str | None = None
    error_message: str | None = None  # its beginning
    output_files: tuple[str, ...] = ()  # the first ones
    outputs_count: int = 0
    inputs: tuple[str, ...] = ()  # the columns that hold pictures
    possible_duplicate: bool = False
    retried_from: str | None = None
    retry_number: int = 0
    retry_count: int = 0
    version: int = 1


class RowsPage(msgspec.Struct, frozen=True):
    """The newest tasks of a batch's rows in the order of acceptance, and where to go on."""

    rows: list[TaskRow]
    next_cursor: str | None


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One change of a task, as the journal holds it."""

    seq: int
    at: str
    actor: str
    op: str
    reason: str | None
    evidence: dict[str, Json] | None
    task: Task | None


class TaskDocument(Task, frozen=True, kw_only=True):
    """A task in full, with the ids of all runs of its row and type, and its history."""

    kin: list[str] = msgspec.field(name="family")
    row_gpu_seconds: float  # of all its tasks that have ended
    history: list[Change]


class HistoryDocument(msgspec.Struct, frozen=True):
    """All changes of a task, oldest first."""

    history: list[Change]


class RetryDone(Done, frozen=True, kw_only=True):
    """The new task that a retry made."""

    new_task_id: str
    status: str
    files_copied: int
    retry_number: int
    retried_from: str
    batch_id: str
    waiting: int


class TaskDone(Done, frozen=True, kw_only=True):
    """What became of a task."""

    task_id: str
    status: str
    stage: str
    requested: str | None
