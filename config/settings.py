"""The settings: one frozen struct a section, each default and each limit in its only place.

Numbers carry their unit in their name. Paths are absolute after loading: a default such as
``inbox`` stands for a place below ``state_dir`` (see ``load``).
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

import msgspec
from msgspec import Meta

Amount: TypeAlias = Annotated[float, Meta(gt=0)]  # seconds, minutes, megapixels
Days: TypeAlias = Annotated[int, Meta(ge=0)]
Count: TypeAlias = Annotated[int, Meta(ge=1)]
Port: TypeAlias = Annotated[int, Meta(ge=0, le=65535)]
# The word under "check" names a rule in ``checks``.
Name: TypeAlias = Annotated[str, Meta(extra={"check": "name"})]
Url: TypeAlias = Annotated[str, Meta(extra={"check": "url"})]
#: An address that may bear a secret: it is shown without (see ``links``).
Link: TypeAlias = Annotated[str, Meta(extra={"link": True})]
NodeInput: TypeAlias = Annotated[str, Meta(extra={"check": "node_input"})]
# Never shown; may stand in a file of its own, named by the key with ``_file`` behind it.
Secret: TypeAlias = Annotated[str, Meta(extra={"secret": True})]
SecretUrl: TypeAlias = Annotated[str, Meta(extra={"secret": True, "check": "webhook"})]
Headers: TypeAlias = Annotated[dict[str, str], Meta(extra={"secret": True})]


class Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of all sections: frozen, and an unknown key is a problem."""


class Inbox(Section, frozen=True):
    """The drop folder."""

    path: Path = Path("inbox")
    settle_seconds: Amount = 2.0
    rescan_seconds: Amount = 300.0
    wait_for_pictures_seconds: Annotated[float, Meta(ge=0)] = 30.0


class LedgerSettings(Section, frozen=True):
    """Where the ledger lies and how long it remembers."""

    kind: Literal["json"] = "json"
    path: Path = Path("ledger")
    archive_after_days: Days = 30
    history_days: Count = 365


class Server(Section, frozen=True):
    """One ComfyUI."""

    name: Name
    url: Url
    settle_seconds: Amount = 10.0
    max_in_flight: Count = 2
    headers: Headers = msgspec.field(default_factory=dict)
    poll_seconds: Amount = 2.0  # how often its queue is read while work is inside


class OutputNode(Section, frozen=True):
    """A node whose files are a result; *node* is its title or id."""

    node: Annotated[str, Meta(min_length=1)]
    count: Count = 1


class Workflow(Section, frozen=True):
    """One workflow type: its template and what of a row goes where."""

    template: Path
    max_runtime_minutes: Amount | None = None  # else the one of [sweeps]
    max_auto_retries: Annotated[int, Meta(ge=0)] = 2
    on_uncertain: Literal["rerun", "ask"] = "rerun"
    inputs: dict[str, NodeInput] = msgspec.field(default_factory=dict)
    outputs: dict[str, str | OutputNode] = msgspec.field(default_factory=dict)


class Dispatch(Section, frozen=True):
    """Which row runs next."""

    affinity: bool = True
    max_consecutive_failures: Count = 10
    order: Literal["row", "stage"] = "row"


class Outputs(Section, frozen=True):
    """Where results go and what they are called."""

    path: Path = Path("outputs")
    name: Annotated[str, Meta(extra={"check": "output_name"})] = (
        "{batch}/{row_number:04d}_{product_name}_{model_name}_{workflow_type}_{index}{ext}"
    )
    retention_days: Days = 0


class Inputs(Section, frozen=True):
    """The content store of input pictures and what may enter it."""

    path: Path = Path("inputs")
    retention_days: Days = 30
    allow: tuple[Path, ...] = ()
    max_picture_megapixels: Amount = 100.0


class Sweeps(Section, frozen=True):
    """The periodic stuck check."""

    stuck_every_seconds: Amount = 300.0
    max_runtime_minutes: Amount = 30.0
    auto_recover: bool = True


class Web(Section, frozen=True):
    """The HTTP door."""

    host: Annotated[str, Meta(min_length=1)] = "127.0.0.1"
    port: Port = 8787
    admin_token_file: Path = Path("admin-token")
    allowed_hosts: tuple[str, ...] = ()
    public_url: Annotated[str, Meta(extra={"check": "public_url"})] = ""


class Table(Section, frozen=True):
    """One table that work comes from and results go back to."""

    name: Name
    kind: Literal["csv", "xlsx", "feishu-sheet", "feishu-bitable"]
    path: Path | None = None  # csv, xlsx
    url: Link = ""  # Feishu: the document's address as the browser shows it
    sheet: str = ""  # xlsx, feishu-sheet: the sheet's title; else the first, or the one in the url
    poll_seconds: Amount | None = None  # see ``poll_seconds``
    columns: dict[str, str] = msgspec.field(default_factory=dict)  # key -> the table's heading
    create_columns: bool = False
    workflow_type: str = ""  # of rows that name none
    uploads: Literal["parts", "whole"] = "parts"  # feishu-bitable: how files up to 20 MB go

    @property
    def is_file(self) -> bool:
        """Whether it lies on our disk."""
        return self.kind in ("csv", "xlsx")


class Feishu(Section, frozen=True):
    """The self-built app through which Feishu tables are read and written."""

    base_url: Url = "https://open.feishu.cn"
    app_id: str = ""
    app_secret: Secret = ""
    monthly_call_budget: Annotated[int, Meta(ge=0)] = 0  # 0: only Feishu's own limit
    push: bool = False  # have changes of Bitables told at once


class Alerts(Section, frozen=True):
    """Where warnings go, and from when on something is worth one."""

    feishu_webhook: SecretUrl = ""
    feishu_webhook_secret: Secret = ""
    feishu_keyword: str = ""
    repeat_minutes: Amount = 60.0
    server_down_minutes: Amount = 5.0
    disk_free_gib: Amount = 2.0


class Log(Section, frozen=True):
    """What is logged and how."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["auto", "text", "json"] = "auto"


class Settings(Section, frozen=True):
    """Everything a daemon is told; checked whole by ``load``."""

    state_dir: Path = Path("var")
    language: Literal["auto", "zh", "en"] = "auto"
    inbox: Inbox = msgspec.field(default_factory=Inbox)
    ledger: LedgerSettings = msgspec.field(default_factory=LedgerSettings)
    servers: tuple[Server, ...] = (Server(name="comfyui", url="http://127.0.0.1:8188"),)
    workflows: dict[str, Workflow] = msgspec.field(default_factory=dict)
    dispatch: Dispatch = msgspec.field(default_factory=Dispatch)
    outputs: Outputs = msgspec.field(default_factory=Outputs)
    inputs: Inputs = msgspec.field(default_factory=Inputs)
    sweeps: Sweeps = msgspec.field(default_factory=Sweeps)
    web: Web = msgspec.field(default_factory=Web)
    tables: tuple[Table, ...] = ()
    feishu: Feishu = msgspec.field(default_factory=Feishu)
    alerts: Alerts = msgspec.field(default_factory=Alerts)
    log: Log = msgspec.field(default_factory=Log)


def runtime_limit_minutes(
    workflows: Mapping[str, Workflow], workflow_type: str, default_minutes: float
) -> float:
    """Return how long a run of this type may take: its own limit, else *default_minutes*."""
    workflow = workflows.get(workflow_type)
    own = workflow.max_runtime_minutes if workflow else None
    return default_minutes if own is None else own


#: A look at a file costs next to nothing; one at Feishu counts for the month's quota.
FILE_POLL_SECONDS, FEISHU_POLL_SECONDS = 5.0, 60.0


def poll_seconds(table: Table) -> float:
    """Return how often a table is looked at."""
    if table.poll_seconds is not None:
        return table.poll_seconds
    return FILE_POLL_SECONDS if table.is_file else FEISHU_POLL_SECONDS
