"""A batch: the rows of one job file, or of one table."""

from enum import StrEnum

import msgspec

from ledger.task import Json, Source


class BatchStatus(StrEnum):
    """What an operator or the failure limit made of a batch."""

    RUNNING = "running"
    PAUSED = "paused"  #: running rows end, waiting ones stay
    STOPPED = "stopped"  #: like paused, and queued prompts were taken back
    FAILED = "failed"  #: too many failures in a row; waiting rows were left alone
    COMPLETED = "completed"  #: nothing open is left


class Batch(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The rows that came together; counts are never stored here but derived from the tasks."""

    batch_id: str
    name: str
    source: Source
    status: BatchStatus = BatchStatus.RUNNING
    stage: int = 1
    created_at: str
    updated_at: str
    rerun_of: str | None = None
    options: dict[str, Json] = msgspec.field(default_factory=dict)
    failures_in_a_row: int = 0
    halted_at: str | None = None  # of the pause or stop; rows retried later run all the same
    held: str | None = None  # why its rows wait: server_unreachable, missing_node, ...
    version: int = 1

    @property
    def record_id(self) -> str:
        """The key in the ledger."""
        return self.batch_id

    def changed(self, *, at: str, **fields: object) -> "Batch":
        """Return the next version with *fields* replaced."""
        return msgspec.structs.replace(self, updated_at=at, version=self.version + 1, **fields)
