"""What is answered of how all stands."""

import msgspec

from daemon.web.batch_documents import BatchDocument
from daemon.web.table_documents import TableDocument
from daemon.web.warning import WarningDocument
from ledger.task import Task


class ServerReport(msgspec.Struct, frozen=True, kw_only=True):
    """A server as far as settings and ledger know it; nobody was asked.

    ``reachable``: when a daemon last asked, None: it never did.
    """

    name: str
    url: str | None  # None: the ledger knows it, the settings no longer do
    drained: bool
    reachable: bool | None
    version: str | None
    why_not: str | None  # it gets no work
    in_flight: int


class NodeProgress(msgspec.Struct, frozen=True, kw_only=True):
    """How far a prompt is, as its server told last; *value* of *maximum* where the node counts."""

    node: str | None
    value: float | None = None
    maximum: float | None = None


class TaskInFlight(Task, frozen=True, kw_only=True, gc=False):
    """A task that is on a server; ``progress`` is None until that tells, and without a daemon."""

    progress: NodeProgress | None = None


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """The answer of `status`."""

    servers: list[ServerReport]
    batches: list[BatchDocument]
    in_flight: list[TaskInFlight]
    tables: list[TableDocument]
    stuck: int
    damage: list[str]
    warnings: list[WarningDocument] = []
    daemon_runs: bool = True  # False: all this is as the last one left it
