"""A task: one workflow run for a row, as it stood after its ``version``-th change.

Records hold JSON and each other, never a cycle. So the garbage collector need not know them
(``gc=False``): walking over a hundred thousand would stall the loop for a quarter of a second.
"""

from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec

from ledger.errors import IllegalMove
from ledger.status import MOVES, STATUS_OF, Stage, Status

if TYPE_CHECKING:
    #: What JSON can hold; rows keep columns that we know nothing about.
    Json: TypeAlias = "str | int | float | bool | list[Json] | dict[str, Json] | None"
else:
    Json = Any  # msgspec cannot decode into a type that names itself


class InputFile(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A picture the task needs; its bytes lie in the content store under ``sha256``."""

    name: str  # as the user called it; shown, never used as a path
    sha256: str
    size_bytes: int


class OutputFile(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A result: what the server calls it, and, once proven, where it lies on our disk.

    ``path`` is committed before the download begins; ``sha256`` and ``size_bytes`` only after the
    file was decoded, synced and renamed to ``path``.
    """

    node: str
    filename: str
    subfolder: str
    type: str
    path: str | None = None  # relative to state_dir, absolute when outside it
    sha256: str | None = None
    size_bytes: int | None = None
    removed_at: str | None = None  # retention removed the file; before that it was proven


#: The picture column of a second stage that takes what the first stage made.
HANDED_ON = "image"


class Dependency(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The family whose newest done task must exist before this one may run."""

    row_id: str
    workflow_type: str


class Publish(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The outbox of a task: what a table has been told.

    ``state``: none (no table is to be told), pending, published, row_gone (nobody found the row),
    refused (the table will not take it; ``error`` says why).
    """

    state: str = "none"
    attempts: int = 0
    error: str | None = None
    tokens: dict[str, str] = msgspec.field(default_factory=dict)  # document:sha256 → its file
    uploaded_anew: tuple[str, ...] = ()  # document:sha256 whose token was not known there any more

    @property
    def is_settled(self) -> bool:
        """Whether no table has anything left to be told."""
        return self.state != "pending"

    def due(self) -> "Publish":
        """Return the outbox with news in it; one that no table reads stays as it is."""
        if self.state == "none":
            return self
        return msgspec.structs.replace(self, state="pending", attempts=0, error=None)


class Source(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Where the row came from; ``line`` is where it begins, as an editor or Excel counts."""

    kind: str  # "inbox", "table", "api"
    name: str
    line: int | None = None
    fingerprint: str | None = None  # of values, inputs and occurrence; see intake


class TableRow(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The row of a table that a task was made for, and that is told of it."""

    table: str  # its name in the settings
    key: str  # by which the row is found again
    workflow_types: tuple[str, ...]  # of the row's stages, in order
    replaced_by: str | None = None  # the row was run anew and bears this id; no row bears ours
    replaces: str | None = None  # the id that the row bore until this run


class Metadata(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What only programs read."""

    feishu_row_data: dict[str, Json] = msgspec.field(default_factory=dict)
    processing_start_time: str | None = None
    source: Source | None = None
    table_row: TableRow | None = None
    template_sha256: str | None = None  # the template the attempt was filled from
    adopted: bool = False  # outputs were found in the server's folder, not in its history
    ran_out_on: tuple[str, ...] = ()  # servers, out of memory there


class Task(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One row of work for one workflow type. Times are UTC text (see ``timestamps``).

    A record is never changed: ``moved`` and ``changed`` return the next version.
    """

    task_id: str
    row_id: str
    batch_id: str
    row_number: str | int
    product_name: str = ""
    model_name: str = ""
    workflow_type: str
    status: Status = Status.WAITING
    stage: Stage = Stage.WAITING
    priority: int = 0
    created_at: str
    updated_at: str
    started_at: str | None = None  # ComfyUI's execution_start; waiting in its queue is not running
    finished_at: str | None = None
    processed_at: str | None = None  # = finished_at, under the requirements' name
    comfyui_task_id: str | None = None  # the attempt's prompt id, chosen by us
    server: str | None = None
    attempt: int = 0  # counts prompt ids; 0 = never submitted
    auto_retries: int = 0  # failures that were followed by another attempt on our own account
    lost_by_server: int = 0
    possible_duplicate: bool = False
    not_before: str | None = None
    requested: str | None = None  # an operator's intent: cancel, take_back, reset
    requested_by: str | None = None  # whose intent it is; of a cancelled task who wanted that
    blocked_by: str | None = None  # why a waiting task cannot run, in words for a person
    row: dict[str, Json] = msgspec.field(default_factory=dict)
    parameters: dict[str, Json] = msgspec.field(default_factory=dict)  # filled into the graph
    graph_sha256: str | None = None
    inputs: dict[str, InputFile] = msgspec.field(default_factory=dict)
    output_files: tuple[str, ...] = ()
    outputs: tuple[OutputFile, ...] = ()
    error_message: str | None = None
    error_kind: str | None = None
    gpu_seconds: float | None = None
    depends_on: Dependency | None = None
    retried_from: str | None = None
    root_task_id: str
    retry_number: int = 0
    retry_count: int = 0
    publish: Publish = msgspec.field(default_factory=Publish)
    metadata: Metadata = msgspec.field(default_factory=Metadata)
    version: int = 1

    @property
    def record_id(self) -> str:
        """The key in the ledger."""
        return self.task_id

    @property
    def fingerprint(self) -> str | None:
        """The fingerprint of the row the task was made for."""
        return self.metadata.source.fingerprint if self.metadata.source else None

    @property
    def family(self) -> tuple[str, str]:
        """What at most one open task may exist for."""
        return (self.row_id, self.workflow_type)

    @property
    def row_stage(self) -> int:
        """1, or 2 when it needs what another task makes first."""
        return 1 if self.depends_on is None else 2

    @property
    def has_just_ended(self) -> bool:
        """Whether this very change ended the task; later ones, such as a retry, do not."""
        return self.finished_at == self.updated_at

    @property
    def output_prefix(self) -> str:
        """The folder of this attempt in the server's output folder; unique for ever.

        With a part of the prompt id: another ledger on the same server counts its tasks alike.
        """
        prompt = (self.comfyui_task_id or "")[:8]
        return f"rowkeeper/{self.task_id}-{self.attempt}-{prompt}"

    def changed(self, *, at: str, **fields: object) -> "Task":
        """Return the next version with *fields* replaced; the stage stays."""
        return msgspec.structs.replace(
            self,
            updated_at=at,
            version=self.version + 1,
            **fields,
        )

    def moved(self, to: Stage, *, at: str, **fields: object) -> "Task":
        """Return the next version in stage *to*; raises IllegalMove for one that MOVES lacks.

        Ending stages set ``finished_at`` and ``processed_at``, and clear ``requested``; who wanted
        it stays with a task that is cancelled. What a table shows of it goes into the outbox by
        this very change.
        """
        if to is not self.stage and to not in MOVES[self.stage]:
            raise IllegalMove(self.task_id, self.stage, to)
        status = STATUS_OF[to]
        if status is not self.status or to is Stage.RUNNING:
            fields.setdefault("publish", self.publish.due())
        if not MOVES[to]:
            wanted_by = fields.get("requested_by", self.requested_by)
            by = wanted_by if to is Stage.CANCELLED else None
            fields |= {
                "finished_at": at,
                "processed_at": at,
                "requested": None,
                "requested_by": by,
            }
        return self.changed(at=at, stage=to, status=status, **fields)
