"""What the paths take, as structs: they check queries and bodies and make the OpenAPI document."""

from typing import Annotated, Literal, TypeAlias

import msgspec
from msgspec import Meta

from ledger.task import Json

Minutes: TypeAlias = Annotated[float, Meta(gt=0, le=1_000_000)]
StatusWord: TypeAlias = Literal[
    "待处理", "在处理中", "已完成", "失败", "已取消",
    "waiting", "submitting", "queued", "running", "collecting", "done", "failed", "cancelled",
]  # fmt: skip


class Asked(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of queries and bodies: an unknown field is a problem."""


class TaskQuery(Asked, frozen=True):
    """Which tasks to list; a status or a stage, repeated for several.

    From the oldest on, behind *cursor*; or, *newest*, the last ones.
    """

    status: tuple[StatusWord, ...] = ()
    batch: Annotated[str, Meta(min_length=1, max_length=64)] | None = None
    type: Annotated[str, Meta(min_length=1, max_length=200)] | None = None
    limit: Annotated[int, Meta(ge=1, le=1000)] = 100
    cursor: Annotated[str, Meta(min_length=1, max_length=200)] | None = None
    newest: bool = False


class RowsQuery(Asked, frozen=True):
    """Which part of a batch's rows to list."""

    limit: Annotated[int, Meta(ge=1, le=2000)] = 1000
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


class JobOptions(Asked, frozen=True, omit_defaults=True):
    """What is asked for all rows: that they run although they ran before."""

    rerun: bool = False


class JobBody(Asked, frozen=True):
    """Rows, as a job file in JSON holds them; paths of pictures must lie in ``inputs.allow``."""

    rows: list[dict[str, Json]]
    options: JobOptions = JobOptions()
    name: Annotated[str, Meta(min_length=1, max_length=200)] = "api"
