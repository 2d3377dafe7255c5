"""What the paths answer, as structs: commands answer the same, OpenAPI is made from them."""

import msgspec

from daemon.web.warning import BilingualWarning
from ledger.statistics import BatchStatistics
from ledger.status import Stage, Status
from ledger.task import Json, Task


class Done(msgspec.Struct, frozen=True, kw_only=True):
    """Something was done, or there was nothing to do (``changed`` false)."""

    success: bool
    changed: bool
    message: str


class EtaDocument(msgspec.Struct, frozen=True, kw_only=True):
    """When the open rows will have ended, as a range of seconds from now."""

    low_seconds: float
    high_seconds: float


class BatchDocument(msgspec.Struct, frozen=True, kw_only=True):
    """A batch as it stands."""

    batch_id: str
    name: str
    status: str
    stage: int
    held: str | None
    created_at: str
    updated_at: str
    rerun_of: str | None
    statistics: BatchStatistics
    eta: EtaDocument | None
    gpu_seconds: dict[str, float] | None = None  # by product; only where one batch is asked for


class BatchesDocument(msgspec.Struct, frozen=True):
    """All batches, oldest first."""

    batches: list[BatchDocument]


class BatchDone(Done, frozen=True, kw_only=True):
    """What became of a batch."""

    batch_id: str
    status: str
    stage: int
    statistics: BatchStatistics
    taken_back: int = 0


class RerunDone(BatchDone, frozen=True, kw_only=True):
    """The new batch."""

    rerun_of: str
    left_out: int


class FailedExecutions(msgspec.Struct, frozen=True):
    """The tasks of a batch that failed and were not retried since; how many of each class."""

    failed_executions: list[Task]
    total: int
    reasons: dict[str, int]


class FilesGone(msgspec.Struct, frozen=True):
    """A task that cannot be retried, because these files are no longer there."""

    task_id: str
    files: list[str]


class RetriesDone(Done, frozen=True, kw_only=True):
    """The new tasks that retries made."""

    batch_id: str
    retried: int
    new_task_ids: list[str]
    files_copied: int
    files_gone: list[FilesGone]
    waiting: int


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


class OverviewDocument(msgspec.Struct, frozen=True, kw_only=True):
    """The last hour by the minute, oldest first; the last minutes' share in which GPUs worked."""

    done_per_minute: list[int]
    failed_per_minute: list[int]
    busy_shares: dict[str, float]
    stuck: int  # as of the last sweep
    warnings: list[BilingualWarning] = []


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


class Refused(msgspec.Struct, frozen=True):
    """A row that does not run, and why."""

    line: int
    reason: str


class JobDone(Done, frozen=True, kw_only=True):
    """What became of the rows; the lists hold the first thousand."""

    batch_id: str | None
    accepted_rows: int
    rejected_rows: int
    duplicate_rows: int
    task_ids: list[str]
    rejected: list[Refused]
    duplicates: list[Refused]


class ServerDocument(msgspec.Struct, frozen=True, kw_only=True):
    """A server as dispatch sees it now."""

    name: str
    url: str | None
    drained: bool
    reachable: bool | None
    usable: bool
    why_not: str | None
    version: str | None
    in_flight: int
    max_in_flight: int
    queue_running: int | None
    queue_pending: int | None
    last_type: str | None


class ServersDocument(msgspec.Struct, frozen=True):
    """All servers of the settings."""

    servers: list[ServerDocument]


class ServerDone(Done, frozen=True, kw_only=True):
    """What became of a server."""

    server: str
    drained: bool


class SessionDone(msgspec.Struct, frozen=True):
    """A reading session began; its cookie came along."""

    success: bool
    expires_in_seconds: int


class Alive(msgspec.Struct, frozen=True):
    """The process answers."""

    status: str


class Readiness(msgspec.Struct, frozen=True, kw_only=True):
    """Whether work is taken and done."""

    ready: bool
    ledger_writable: bool
    ledger_damaged: bool
    servers_reachable: int
    servers: int
