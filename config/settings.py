"""The settings: one frozen struct a section, each default in its only place.

Numbers carry their unit in their name. Paths are absolute after loading (see ``load``).
"""

from pathlib import Path
from typing import Literal

import msgspec


class Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of all sections: frozen, and an unknown key is a problem."""


class Inbox(Section, frozen=True):
    """The drop folder."""

    path: Path = Path("inbox")
    settle_seconds: float = 2.0
    rescan_seconds: float = 300.0
    wait_for_pictures_seconds: float = 30.0


class LedgerSettings(Section, frozen=True):
    """Where the ledger lies and how long it remembers."""

    kind: Literal["json"] = "json"
    path: Path = Path("ledger")
    archive_after_days: int = 30
    history_days: int = 365


class Server(Section, frozen=True):
    """One ComfyUI."""

    name: str
    url: str
    settle_seconds: float = 10.0
    max_in_flight: int = 2
    headers: dict[str, str] = msgspec.field(default_factory=dict)
    poll_seconds: float = 2.0  # how often its queue is read while work is inside


class OutputNode(Section, frozen=True):
    """A node whose files are a result; *node* is its title or id."""

    node: str
    count: int = 1


class Workflow(Section, frozen=True):
    """One workflow type: its template and what of a row goes where."""

    template: Path
    max_runtime_minutes: float = 30.0
    max_auto_retries: int = 2
    on_uncertain: Literal["rerun", "ask"] = "rerun"
    inputs: dict[str, str] = msgspec.field(default_factory=dict)
    outputs: dict[str, str | OutputNode] = msgspec.field(default_factory=dict)


class Dispatch(Section, frozen=True):
    """Which row runs next."""

    affinity: bool = True
    max_consecutive_failures: int = 10
    order: Literal["row", "stage"] = "row"


class Outputs(Section, frozen=True):
    """Where results go and what they are called."""

    path: Path = Path("outputs")
    name: str = "{batch}/{row_number:04d}_{product_name}_{model_name}_{workflow_type}_{index}{ext}"
    retention_days: int = 0


class Inputs(Section, frozen=True):
    """The content store of input pictures and what may enter it."""

    path: Path = Path("inputs")
    retention_days: int = 30
    allow: tuple[Path, ...] = ()
    max_picture_megapixels: float = 100.0


class Sweeps(Section, frozen=True):
    """The periodic stuck check."""

    stuck_every_seconds: float = 300.0
    max_runtime_minutes: float = 30.0
    auto_recover: bool = True


class Web(Section, frozen=True):
    """The HTTP door."""

    host: str = "127.0.0.1"
    port: int = 8787
    admin_token_file: Path = Path("admin-token")
    allowed_hosts: tuple[str, ...] = ()


class Table(Section, frozen=True):
    """One table that work comes from and results go back to."""

    name: str
    kind: Literal["csv", "xlsx", "feishu-sheet", "feishu-bitable"]
    path: Path | None = None


class Alerts(Section, frozen=True):
    """Where warnings go."""

    feishu_webhook: str = ""
    feishu_webhook_secret: str = ""


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
    alerts: Alerts = msgspec.field(default_factory=Alerts)
    log: Log = msgspec.field(default_factory=Log)
