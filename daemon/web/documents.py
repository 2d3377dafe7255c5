"""What paths answer, as structs: commands answer the same, OpenAPI is made from them.

Those of batches, tasks and tables stand in ``batch_documents``, ``task_documents``,
``table_documents``.
"""

import msgspec

from daemon.web.warning import BilingualWarning


class Done(msgspec.Struct, frozen=True, kw_only=True):
    """Something was done, or there was nothing to do (``changed`` false)."""

    success: bool
    changed: bool
    message: str


class OverviewDocument(msgspec.Struct, frozen=True, kw_only=True):
    """The last hour by the minute, oldest first; the last minutes' share in which GPUs worked."""

    done_per_minute: list[int]
    failed_per_minute: list[int]
    busy_shares: dict[str, float]
    stuck: int  # as of the last sweep
    warnings: list[BilingualWarning] = []


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
    """A server as dispatch sees it now; ``reachable`` None: it was not asked since the start."""

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
    daemon_runs: bool = True  # False: they are as the last one saw them


class ServerDone(Done, frozen=True, kw_only=True):
    """What became of a server."""

    server: str
    drained: bool


class SessionDone(msgspec.Struct, frozen=True):
    """A reading session began; its cookie came along."""

    success: bool
    expires_in_seconds: int


class Alive(msgspec.Struct, frozen=True, omit_defaults=True):
    """The process answers."""

    status: str  # "ok" or "starting"
    reason: str | None = None  # why it is not up yet


class Readiness(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Whether work is taken and done."""

    ready: bool
    ledger_writable: bool
    ledger_damaged: bool
    servers_reachable: int
    servers: int
    reason: str | None = None  # of a start that waits
