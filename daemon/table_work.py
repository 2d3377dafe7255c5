"""The services of the tables: a poller each, a publisher for each document."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from config.settings import Settings
from daemon.actions.row_commands import RowCommands
from daemon.clock import SystemClock
from daemon.concern import Concern
from daemon.feishu.push import Changed, Push
from daemon.ground import Ground, make_store, output_folder
from daemon.intake.accept import Intake
from daemon.intake.claims import Claims
from daemon.intake.command_column import CommandColumn
from daemon.intake.restoring import Restoration
from daemon.intake.row_check import RowCheck
from daemon.intake.table import TablePoller
from daemon.intake.table_rows import TableRows
from daemon.publish.outbox import TableOutbox
from daemon.publish.publisher import Publisher
from daemon.publish.reconcile import Reconciliation
from daemon.tables.errors import TableError
from daemon.tables.feishu_bitable import FeishuBitable
from daemon.tables.handle import TableHandle, handles_of
from daemon.tables.opening import open_feishu, open_tables
from daemon.web.table_documents import ReconciliationDone, reconciled
from daemon.web.tables import reconcile_one
from daemon.words import Words
from ledger.ledger import Ledger


@dataclass(frozen=True, kw_only=True)
class TableWork:
    """What works on the tables of the settings."""

    handles: Sequence[TableHandle]
    pollers: Sequence[TablePoller]
    publishers: Sequence[Publisher]
    pushes: Sequence[Push]

    def are_hindered(self) -> bool:
        """Say whether one of them cannot be read or written."""
        standings = (handle.standing for handle in self.handles)
        return any(each.reading or each.writing for each in standings)

    def concerns(self) -> list[Concern]:
        """Return what a person should mend for them, beside what stands in their standings."""
        return [concern for poller in self.pollers for concern in poller.concerns]

    def refused_rows(self) -> int:
        """Return how many of their rows cannot run, or do not without a person."""
        return sum(handle.standing.refused for handle in self.handles)

    async def close(self) -> None:
        """Let go of the tables."""
        for handle in self.handles:
            await handle.table.close()


def make_table_work(ground: Ground, intake: Intake) -> TableWork:
    """Return the services of all tables; nothing is read yet."""
    tables = open_tables(ground.settings.tables, ground.feishu, ground.settings.language)
    handles = handles_of(tables, ground.settings, ground.ledger, ground.clock)
    pollers = [_poller(ground, intake, each) for each in handles]
    return TableWork(
        handles=handles,
        pollers=pollers,
        pushes=_pushes(ground, handles, pollers),
        publishers=_publishers(ground, handles),
    )


def reconcile_here(settings: Settings, words: Words) -> ReconciliationDone:
    """Put all tables right under the ledger's lock, without a daemon; raises LedgerLocked."""
    return asyncio.run(_reconcile(settings, words))


async def _reconcile(settings: Settings, words: Words) -> ReconciliationDone:
    clock, ledger = SystemClock(), Ledger(make_store(settings))
    await ledger.open()
    feishu = open_feishu(settings, clock)
    tables = open_tables(settings.tables, feishu, settings.language)
    handles = handles_of(tables, settings, ledger, clock)
    folder = output_folder(settings)
    try:
        found = [
            await reconcile_one(each, Reconciliation(each, ledger, folder.absolute, clock))
            for each in handles
        ]
    finally:
        for each in handles:
            await each.table.close()
        await ledger.close()
    return reconciled(found, words)


def _poller(ground: Ground, intake: Intake, handle: TableHandle) -> TablePoller:
    ledger, clock = ground.ledger, ground.clock
    rows = TableRows(handle, ledger, intake.needs, clock)
    check = RowCheck(handle, intake, ground.settings.state_dir)
    claims = Claims(handle, check, intake, ledger, clock, lost=rows.lost)
    commands = RowCommands(
        ledger, clock, input_path=ground.contents.path_of, output_path=ground.folder.absolute
    )
    column = CommandColumn(handle, claims, commands, ledger, clock)
    restoration = Restoration(handle, rows, ledger)
    return TablePoller(
        handle, rows=rows, restoration=restoration, claims=claims, commands=column, clock=clock
    )


def _pushes(
    ground: Ground, handles: Sequence[TableHandle], pollers: Sequence[TablePoller]
) -> list[Push]:
    """Return what wakes the pollers of Bitables when Feishu tells of a change."""
    by_table = [
        (each.table, poller)
        for each, poller in zip(handles, pollers, strict=True)
        if isinstance(each.table, FeishuBitable)
    ]
    if ground.feishu is None or not ground.settings.feishu.push or not by_table:
        return []

    async def documents() -> list[str]:
        try:
            return list(dict.fromkeys([await table.app_token() for table, _ in by_table]))
        except TableError:  # its poller says so
            return []

    def changed(news: Changed) -> None:
        for table, poller in by_table:
            if table.is_news(news):
                poller.wake.set()

    return [Push(ground.feishu, documents, changed)]


def _publishers(ground: Ground, handles: Sequence[TableHandle]) -> list[Publisher]:
    documents: dict[str, list[TableOutbox]] = {}
    for each in handles:
        page = ground.settings.web.public_url
        outbox = TableOutbox(each, ground.ledger, ground.folder.absolute, ground.clock, page=page)
        documents.setdefault(each.table.document, []).append(outbox)
    return [Publisher(each, ground.ledger, ground.clock) for each in documents.values()]
