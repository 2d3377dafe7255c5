"""A batch: the rows of one job file, or of one table."""

import sys
from enum import StrEnum

import msgspec
from msgspec.structs import force_setattr

from ledger.task import Json, Source


class BatchStatus(StrEnum):
    """What an operator or the failure limit made of a batch."""

    RUNNING = "running"
    PAUSED = "paused"  #: running rows end, waiting ones stay
    STOPPED = "stopped"  #: like paused, and queued prompts were taken back
    FAILED = "failed"  #: too many failures in a row; waiting rows were left alone
    COMPLETED = "completed"  #: nothing open is left


#: Of most batches; each own one would take as much as a short text.
_NO_OPTIONS: dict[str, Json] = {}


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

    def __post_init__(self) -> None:
        """Hold once what is there twice: there may be as many batches as rows."""
        force_setattr(self, "batch_id", sys.intern(self.batch_id))
        force_setattr(self.source, "kind", sys.intern(self.source.kind))
        if self.name == self.source.name:
            force_setattr(self, "name", self.source.name)
        if self.updated_at == self.created_at:
            force_setattr(self, "updated_at", self.created_at)
        if not self.options:
            force_setattr(self, "options", _NO_OPTIONS)

    @property
    def record_id(self) -> str:
        """The key in the ledger."""
        return self.batch_id

    def changed(self, *, at: str, **fields: object) -> "Batch":
        """Return the next version with *fields* replaced."""
        return msgspec.structs.replace(self, updated_at=at, version=self.version + 1, **fields)
