"""What the handlers work with; made once, by the composition root."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

import msgspec

from config.settings import Settings
from daemon.clock import Clock
from daemon.dispatch.servers import ServerState
from daemon.follow.news import News
from daemon.intake.accept import Door
from daemon.upkeep.eta import RunTimes
from daemon.upkeep.stuck import StuckTasks
from ledger.ledger import Ledger
from ledger.task import Json


class JournalLine(Protocol):
    """A change of a task as the journal tells it; ``task`` is the record after it, as JSON."""

    @property
    def seq(self) -> int: ...  # noqa: D102 - see the class
    @property
    def at(self) -> str: ...  # noqa: D102
    @property
    def actor(self) -> str: ...  # noqa: D102
    @property
    def op(self) -> str: ...  # noqa: D102
    @property
    def task(self) -> bytes | None: ...  # noqa: D102
    @property
    def reason(self) -> str | None: ...  # noqa: D102
    @property
    def evidence(self) -> Mapping[str, Json] | None: ...  # noqa: D102


class Desk(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a handler may reach."""

    settings: Settings
    ledger: Ledger
    clock: Clock
    door: Door
    servers: Sequence[ServerState]
    news: Sequence[News]
    stuck: StuckTasks
    run_times: RunTimes
    history: Callable[[str], Sequence[JournalLine]]  # blocks: reads the journal
    input_path: Callable[[str], Path]  # sha256 -> where the content store has it
    output_path: Callable[[str], Path]  # path in a record -> absolute path
