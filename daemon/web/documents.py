"""What the paths take and answer, as structs: they check bodies and make the OpenAPI document."""

from typing import Annotated, Literal, TypeAlias

import msgspec
from msgspec import Meta

from ledger.statistics import BatchStatistics
from ledger.task import Json, Task

Minutes: TypeAlias = Annotated[float, Meta(gt=0, le=1_000_000)]
StatusWord: TypeAlias = Literal[
    "待处理", "在处理中", "已完成", "失败", "已取消",
    "waiting", "submitting", "queued", "running", "collecting", "done", "failed", "cancelled",
]  # fmt: skip


class Asked(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of queries and bodies: an unknown field is a problem."""


# -- asked ---------------------------------------------------------------------------------------


class TaskQuery(Asked, frozen=True):
    """Which tasks to list; a status or a stage, repeated for several."""

    status: tuple[StatusWord, ...] = ()
    batch: Annotated[str, Meta(min_length=1, max_length=64)] | None = None
    type: Annotated[str, Meta(min_length=1, max_length=200)] | None = None
    limit: Annotated[int, Meta(ge=1, le=1000)] = 100
    cursor: Annotated[str, Meta(min_length=1, max_length=200)] | None = None


class CheckQuery(Asked, frozen=True):
    """From when on an execution counts as too long; else each workflow's own limit."""

    max_runtime_minutes: Minutes | None = None


class RecoveryQuery(CheckQuery, frozen=True):
    """Whether also what a server still executes is cancelled and reset."""

    force_reset: bool = False


class StopBody(Asked, frozen=True):
    """Whether what runs is interrupted, too."""

    interrupt: bool = False


class RerunBody(Asked, frozen=True):
    """Which stage runs again, with which columns changed."""

    stage: Literal[1, 2] | None = None
    changes: dict[Annotated[str, Meta(min_length=1, max_length=200)], Json] = {}
    new_seed: bool = False


class RetryBody(Asked, frozen=True):
    """Whether the answer counts the input files taken over; they are kept once either way."""

    copy_files: bool = True


class JobBody(Asked, frozen=True):
    """Rows, as a job file in JSON holds them; paths of pictures must lie in ``inputs.allow``."""

    rows: list[dict[str, Json]]
    options: dict[str, Json] = {}
    name: Annotated[str, Meta(min_length=1, max_length=200)] = "api"


# -- answered ------------------------------------------------------------------------------------


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
