"""What several steps work with, made before any of them: ledger, servers, stores."""

import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import structlog

from config.settings import Server, Settings
from daemon import failpoint
from daemon.clock import Clock
from daemon.collect.paths import OutputFolder, OutputPaths
from daemon.comfy.client import ComfyClient
from daemon.comfy.server import WorkflowServer
from daemon.dispatch.servers import ServerState
from daemon.feishu.client import Client as FeishuClient
from daemon.intake.contents import ContentStore
from daemon.metrics import Metrics
from daemon.settle.settlement import Settlement
from daemon.settle.streaks import Streaks
from daemon.tables.opening import open_feishu
from daemon.upkeep.retention import archive_after_days
from daemon.workflows import Workflows
from ledger.errors import LedgerDamaged
from ledger.jsondir.files import Disk
from ledger.jsondir.store import JsonDirBackend
from ledger.ledger import Ledger

log = structlog.get_logger()


@dataclass(frozen=True, kw_only=True)
class Ground:
    """Shared by the steps; nothing here is replaced while the daemon runs."""

    settings: Settings
    ledger: Ledger
    states: Sequence[ServerState]
    workflows: Workflows
    settlement: Settlement
    streaks: Streaks
    contents: ContentStore
    folder: OutputFolder
    paths: OutputPaths
    metrics: Metrics
    journal_size_bytes: Callable[[], int]
    clock: Clock
    feishu: FeishuClient | None  # shared by all Feishu tables, if there are any

    @property
    def clients(self) -> dict[str, WorkflowServer]:
        """Each server's client, by its name."""
        return {state.name: state.client for state in self.states}

    @property
    def servers(self) -> dict[str, tuple[WorkflowServer, Server]]:
        """Each server's client and settings, by its name."""
        return {state.name: (state.client, state.settings) for state in self.states}


def make_store(
    settings: Settings, committed: Callable[[float], None] = lambda _seconds: None
) -> JsonDirBackend:
    """Return the store of these settings, not open yet; *committed* is told what commits took."""
    return JsonDirBackend(
        settings.ledger.path,
        disk=Disk(reached=failpoint.reach),
        archive_after_days=archive_after_days(settings),
        history_days=settings.ledger.history_days,
        committed=committed,
    )


def output_folder(settings: Settings) -> OutputFolder:
    """Return where results go."""
    return OutputFolder(
        path=settings.outputs.path, state_dir=settings.state_dir, name=settings.outputs.name
    )


@asynccontextmanager
async def open_ground(
    settings: Settings, workflows: Workflows, clock: Clock, *, must_be_whole: bool = False
) -> AsyncIterator[Ground]:
    """Open the ledger and all connections, and close them after the block.

    Raises LedgerLocked, and LedgerDamaged for a damaged ledger that *must_be_whole*.
    """
    async with AsyncExitStack() as closing:
        metrics = Metrics()
        store = make_store(settings, metrics.histograms.commit_seconds.observe)
        ledger = await _open_ledger(store, closing, must_be_whole=must_be_whole)
        if (feishu := open_feishu(settings, clock)) is not None:
            closing.push_async_callback(feishu.close)
        states = await _meet_servers(settings, ledger, clock, closing)
        folder = output_folder(settings)
        paths = OutputPaths(folder, ledger)
        servers = [state.name for state in states]
        yield Ground(
            settings=settings,
            ledger=ledger,
            states=states,
            workflows=workflows,
            settlement=_settlement(ledger, clock, workflows, servers, paths),
            streaks=Streaks(ledger, settings.dispatch.max_consecutive_failures),
            contents=ContentStore(
                settings.inputs.path, max_picture_megapixels=settings.inputs.max_picture_megapixels
            ),
            folder=folder,
            paths=paths,
            metrics=metrics,
            journal_size_bytes=lambda: store.journal_size_bytes,
            clock=clock,
            feishu=feishu,
        )


async def _open_ledger(
    store: JsonDirBackend, closing: AsyncExitStack, *, must_be_whole: bool
) -> Ledger:
    ledger = Ledger(store)
    await ledger.open()
    closing.push_async_callback(ledger.close)
    if ledger.damage and must_be_whole:
        raise LedgerDamaged("; ".join(ledger.damage))
    if ledger.damage:
        log.error("ledger.damaged", damage=list(ledger.damage), hint="see `ledger repair`")
    return ledger


def _settlement(
    ledger: Ledger, clock: Clock, workflows: Workflows, servers: list[str], paths: OutputPaths
) -> Settlement:
    return Settlement(
        ledger,
        clock,
        workflows.settings,
        workflows.results_of,
        servers=servers,
        name_outputs=paths.name,
    )


async def _meet_servers(
    settings: Settings, ledger: Ledger, clock: Clock, closing: AsyncExitStack
) -> list[ServerState]:
    """Return each server with its client, which knows us by the same id in every life."""
    states = []
    for server in settings.servers:
        client = ComfyClient(server.name, server.url, clock=clock, headers=server.headers)
        closing.push_async_callback(client.close)
        state = ServerState(server, client, ledger)
        await state.remember(client_id=state.memory.client_id or uuid.uuid4().hex)
        states.append(state)
    return states
