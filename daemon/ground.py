"""What several steps work with, made before any of them: ledger, servers, stores."""

import uuid
from collections.abc import Callable, Mapping, Sequence
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
from daemon.upkeep.retention import archive_after_days
from daemon.workflows import Workflows
from ledger.jsondir.files import Disk
from ledger.jsondir.store import JsonDirBackend
from ledger.ledger import Ledger

log = structlog.get_logger()


@dataclass(frozen=True, kw_only=True)
class Ground:
    """Shared by the steps; nothing here is replaced while the daemon runs."""

    settings: Settings
    ledger: Ledger
    clients: Mapping[str, WorkflowServer]
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
    def servers(self) -> dict[str, tuple[WorkflowServer, Server]]:
        """Each server's client and settings, by its name."""
        return {state.name: (state.client, state.settings) for state in self.states}


def make_store(settings: Settings, metrics: Metrics) -> JsonDirBackend:
    """Return the store of these settings, not open yet."""
    return JsonDirBackend(
        settings.ledger.path,
        disk=Disk(reached=failpoint.reach),
        archive_after_days=archive_after_days(settings),
        history_days=settings.ledger.history_days,
        committed=metrics.commit_seconds.observe,
    )


def output_folder(settings: Settings) -> OutputFolder:
    """Return where results go."""
    return OutputFolder(
        path=settings.outputs.path, state_dir=settings.state_dir, name=settings.outputs.name
    )


def make_clients(settings: Settings, clock: Clock) -> dict[str, WorkflowServer]:
    """Return a client for each server, by its name; the caller closes them."""
    return {
        server.name: ComfyClient(server.name, server.url, clock=clock, headers=server.headers)
        for server in settings.servers
    }


async def lay_ground(
    settings: Settings,
    ledger: Ledger,
    clients: Mapping[str, WorkflowServer],
    workflows: Workflows,
    clock: Clock,
    *,
    store: JsonDirBackend,
    metrics: Metrics,
    feishu: FeishuClient | None = None,
) -> Ground:
    """Return what the steps share; names us to each server by the id it knows us by."""
    if ledger.damage:
        log.error("ledger.damaged", damage=list(ledger.damage), hint="see `ledger repair`")
    states = [ServerState(server, clients[server.name], ledger) for server in settings.servers]
    for state in states:
        await state.remember(client_id=state.memory.get("client_id") or uuid.uuid4().hex)
    folder = output_folder(settings)
    paths = OutputPaths(folder, ledger)
    return Ground(
        settings=settings,
        ledger=ledger,
        clients=clients,
        states=states,
        workflows=workflows,
        settlement=Settlement(
            ledger,
            clock,
            workflows.settings,
            workflows.results_of,
            servers=list(clients),
            name_outputs=paths.name,
        ),
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
