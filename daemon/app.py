"""The composition root: everything is made here, in the order of the flow, and run until told.

Read ``run`` top-down; it is the whole life of the daemon.
"""

import asyncio
import uuid
from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeAlias

import structlog

from config.settings import Settings
from daemon import failpoint
from daemon.clock import Clock, SystemClock
from daemon.collect.collector import Collector, OutputFolder
from daemon.comfy.client import ComfyClient
from daemon.comfy.server import WorkflowServer
from daemon.dispatch.holding import Holding
from daemon.dispatch.lane import Lane
from daemon.dispatch.ready import ReadyRows
from daemon.dispatch.servers import HealthWatch, ServerState
from daemon.dispatch.submission import Submission, TaskFiles
from daemon.dispatch.templates import TemplateError
from daemon.follow.follower import Follower
from daemon.follow.news import silence_seconds
from daemon.intake.accept import Door
from daemon.intake.contents import ContentStore
from daemon.intake.inbox import Inbox
from daemon.running import Service, loop_first, run_services, signals
from daemon.settle.settlement import Settlement
from daemon.settle.streaks import Streaks
from daemon.upkeep.backup import LedgerBackups
from daemon.upkeep.batches import BatchKeeper
from daemon.upkeep.completion import Completion
from daemon.upkeep.eta import RunTimes
from daemon.upkeep.ledger_watch import LedgerWatch
from daemon.upkeep.recovery import Recovery
from daemon.upkeep.retention import archive_after_days
from daemon.upkeep.stuck import StuckTasks
from daemon.upkeep.sweeps import Sweeps, sweeps_of
from daemon.web.desk import Desk
from daemon.web.server import WebServer
from daemon.workflows import Workflows
from ledger.entry import Transaction
from ledger.jsondir.backup import copy_ledger
from ledger.jsondir.files import Disk
from ledger.jsondir.reader import history
from ledger.jsondir.store import JsonDirBackend
from ledger.ledger import Ledger

log = structlog.get_logger()

#: What a service may still take after the stop signal; running GPU work is left running.
GRACE_SECONDS = 10.0

#: Makes one more service that watches the ledger: a progress display, for example.
Observer: TypeAlias = Callable[[Ledger], Service]
Reload: TypeAlias = Callable[[], Settings]


async def run(
    settings: Settings,
    *,
    once: bool = False,
    clock: Clock | None = None,
    reload: Reload | None = None,
    observer: Observer | None = None,
) -> int:
    """Run the daemon until a signal, or with *once* until nothing is left to do.

    Returns the exit code: 0, or 1 when *once* leaves failed or blocked rows. Raises LedgerLocked,
    TemplateError. The service that *observer* makes runs beside the others. SIGTERM and SIGINT
    stop it (a second one at once), SIGHUP has *reload* read the workflows anew.
    """
    clock = clock or SystemClock()
    stop = asyncio.Event()
    workflows = Workflows(settings)
    for folder in (settings.inbox.path, settings.outputs.path, settings.inputs.path):
        folder.mkdir(parents=True, exist_ok=True)
    ledger = Ledger(
        JsonDirBackend(
            settings.ledger.path,
            disk=Disk(reached=failpoint.reach),
            archive_after_days=archive_after_days(settings),
            history_days=settings.ledger.history_days,
        )
    )
    await ledger.open()
    clients: dict[str, WorkflowServer] = {
        server.name: ComfyClient(server.name, server.url, clock=clock, headers=server.headers)
        for server in settings.servers
    }
    try:
        with signals(stop, lambda: _reload(workflows, reload)), loop_first():
            return await _serve(settings, ledger, clients, workflows, clock, stop, once, observer)
    finally:
        for client in clients.values():
            await client.close()
        await ledger.close()


async def _serve(  # noqa: PLR0917 - the one place where everything meets
    settings: Settings,
    ledger: Ledger,
    clients: dict[str, WorkflowServer],
    workflows: Workflows,
    clock: Clock,
    stop: asyncio.Event,
    once: bool,  # noqa: FBT001
    observer: Observer | None,
) -> int:
    if ledger.damage:
        log.error("ledger.damaged", damage=list(ledger.damage), hint="see `ledger repair`")
    states = [ServerState(server, clients[server.name], ledger) for server in settings.servers]
    for state in states:
        await state.remember(client_id=state.memory.get("client_id") or uuid.uuid4().hex)
    streaks = Streaks(ledger, settings.dispatch.max_consecutive_failures)
    settlement = Settlement(ledger, clock, workflows.settings, workflows.results_of, list(clients))

    servers = {state.name: (state.client, state.settings) for state in states}
    await Recovery(ledger, servers, settlement, clock).recover()

    contents = ContentStore(
        settings.inputs.path, max_picture_megapixels=settings.inputs.max_picture_megapixels
    )
    folder = OutputFolder(
        path=settings.outputs.path, state_dir=settings.state_dir, name=settings.outputs.name
    )
    door = Door(ledger, contents, workflows.needs, clock, settings.inputs)
    inbox = Inbox(settings.inbox, door, ledger, clock)
    completion = Completion(ledger, inbox, clock)
    followers = [
        Follower(state.client, state.settings, ledger, settlement, clock) for state in states
    ]
    backups = LedgerBackups(
        settings.state_dir / "ledger-backups", partial(copy_ledger, settings.ledger.path)
    )
    stuck = StuckTasks(
        ledger,
        servers,
        settlement,
        backups,
        clock,
        workflows=workflows.settings,
        default_minutes=settings.sweeps.max_runtime_minutes,
        progress_age_seconds=partial(silence_seconds, [each.news for each in followers]),
    )
    run_times = RunTimes()
    run_times.load(ledger)
    ledger.subscribe(run_times.follow)
    desk = Desk(
        settings=settings,
        ledger=ledger,
        clock=clock,
        door=door,
        servers=states,
        news=[follower.news for follower in followers],
        stuck=stuck,
        run_times=run_times,
        history=partial(history, settings.ledger.path),
        input_path=contents.path_of,
        output_path=folder.absolute,
    )
    services: list[Service] = [
        inbox,
        *_dispatch(
            settings, states, ledger, workflows, settlement, streaks, contents, folder, clock
        ),
        *(service for each in followers for service in (each, each.news)),
        Collector(ledger, clients, workflows.settings, folder, clock),
        BatchKeeper(ledger, clock, streaks),
        LedgerWatch(ledger, clock),
        Sweeps(sweeps_of(settings, ledger, stuck, backups, folder.absolute), clock),
        WebServer(desk),
    ]
    if observer is not None:
        services.append(observer(ledger))
    if once:
        services.append(completion)
    await run_services(services, stop, grace_seconds=GRACE_SECONDS)
    return 1 if once and completion.left_undone else 0


def _dispatch(  # noqa: PLR0917 - as above
    settings: Settings,
    states: Sequence[ServerState],
    ledger: Ledger,
    workflows: Workflows,
    settlement: Settlement,
    streaks: Streaks,
    contents: ContentStore,
    folder: OutputFolder,
    clock: Clock,
) -> list[Service]:
    """Return the services that bring waiting rows to servers, wired to the ledger's feed."""
    ready = ReadyRows(
        ledger,
        clock,
        stage_order=settings.dispatch.order == "stage",
        affinity=settings.dispatch.affinity,
        takes_work=lambda name: any(state.takes_work for state in states if state.name == name),
    )
    ready.load()
    files = TaskFiles(input_path=contents.path_of, output_path=folder.absolute)
    submission = Submission(ledger, clock, workflows.settings, workflows.templates, files)
    lanes = [
        Lane(
            state,
            ledger=ledger,
            ready=ready,
            submission=submission,
            settlement=settlement,
            streaks=streaks,
            clock=clock,
        )
        for state in states
    ]
    holding = Holding(ledger, ready, states, clock)

    def changed() -> None:
        for lane in lanes:
            lane.wake.set()

    def follow(transaction: Transaction) -> None:
        ready.follow(transaction)
        changed()

    ledger.subscribe(follow)

    def replaced() -> None:
        for state in states:
            ready.readmit(state.name)
        changed()

    workflows.replaced = replaced
    watches = [HealthWatch(state, clock, ready, changed) for state in states]
    return [*watches, *lanes, holding]


def _reload(workflows: Workflows, reload: Reload | None) -> None:
    """Read the workflows anew; what is wrong with them is logged, and the old ones stay."""
    if reload is None:
        return
    try:
        workflows.load(reload())
    except (TemplateError, ValueError) as error:
        log.error("settings.not_reloaded", error=str(error))  # noqa: TRY400 - the text says it all
    else:
        workflows.replaced()
        log.info("settings.reloaded", workflows=sorted(workflows.settings))
