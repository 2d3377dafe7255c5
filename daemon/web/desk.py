"""What the handlers work with; made once, by the composition root."""

from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from config.settings import Settings
from daemon.clock import Clock
from daemon.concern import Concern
from daemon.dispatch.servers import ServerState
from daemon.follow.news import News
from daemon.intake.accept import Intake
from daemon.metrics import Metrics
from daemon.story.telling import JournalLine
from daemon.tables.handle import TableHandle
from daemon.upkeep.stuck import StuckTasks
from daemon.web.tallies import Tallies
from ledger.ledger import Ledger


class Desk(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a handler may reach."""

    settings: Settings
    ledger: Ledger
    clock: Clock
    intake: Intake
    servers: Sequence[ServerState]
    tables: Sequence[TableHandle]
    news: Sequence[News]
    stuck: StuckTasks
    tallies: Tallies
    metrics: Metrics
    journal_size_bytes: Callable[[], int]
    feishu_calls: Callable[[], int | None] = lambda: None  # of the month; None: nobody counts
    history: Callable[[str], Sequence[JournalLine]]  # blocks: reads the journal
    input_path: Callable[[str], Path]  # sha256 -> where the content store has it
    inbox_drops: Callable[[], int]  # how many lie there undecided, as last seen
    concerns: Callable[[], Sequence[Concern]] = lambda: ()  # of inbox and outputs
    output_path: Callable[[str], Path]  # path in a record -> absolute path
