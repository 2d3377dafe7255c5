"""What is answered of batches."""

import msgspec

from daemon.web.documents import Done
from ledger.statistics import BatchStatistics
from ledger.task import Task


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
    daemon_runs: bool = True  # False: they are as the last one left them


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
