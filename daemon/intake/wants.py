"""What a look at a table found to do."""

import msgspec

from daemon.tables.cells import Row
from daemon.tables.errors import Trouble
from daemon.tables.outdated import Outdated
from ledger.entry import Meta
from ledger.task import Task


class Wants(msgspec.Struct, kw_only=True):
    """What a look at the table found to do."""

    ready: list[Row] = msgspec.field(default_factory=list)
    commands: list[tuple[Row, Task | None]] = msgspec.field(default_factory=list)
    # … each with the first task of its row, None when the ledger has none (any more)
    reports: list[tuple[Row, Trouble]] = msgspec.field(default_factory=list)
    robbed: list[tuple[Row, str]] = msgspec.field(default_factory=list)
    # … of their 任务ID, by an older copy saved over the table; each with that id
    overwritten: list[tuple[Row, Task]] = msgspec.field(default_factory=list)
    # … rows that say less than they were told, each with its first task
    outdated: list[Outdated] = msgspec.field(default_factory=list)
    # … rows that bear the id of an earlier run, likewise
    copies: list[Meta] = msgspec.field(default_factory=list)
    # … notes of rows that were seen to bear another one's id, and of those that do no longer
