"""The composition root: everything is made here, in the order of the flow, and run until told.

Read ``run`` top-down; it is the whole life of the daemon. What several steps work with is made
by ``opening`` and ``ground``, the steps by ``_work``, with ``table_work`` and ``dispatch_work``.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

from config.output_name import columns_in
from config.settings import Settings
from daemon import logs
from daemon.clock import Clock, SystemClock
from daemon.collect.collector import Collector
from daemon.dispatch_work import make_dispatch_work
from daemon.follow.follower import Follower
from daemon.follow.news import silence_seconds
from daemon.ground import Ground
from daemon.intake.accept import Intake
from daemon.intake.inbox import Inbox
from daemon.notify import ServiceManager
from daemon.opening import Opening
from daemon.reloading import ReadSettings, Reloading
from daemon.running import Service, loop_first, run_services, signals
from daemon.table_work import TableWork, make_table_work
from daemon.upkeep.alerts import Alerts, make_alerts
from daemon.upkeep.backup import BACKUPS, LedgerBackups
from daemon.upkeep.batches import BatchKeeper
from daemon.upkeep.completion import Completion
from daemon.upkeep.freed_memory import FreedMemory
from daemon.upkeep.ledger_watch import LedgerWatch
from daemon.upkeep.liveness import Liveness
from daemon.upkeep.outcome import Outcome
from daemon.upkeep.recovery import Recovery
from daemon.upkeep.steady_time import SteadyTime
from daemon.upkeep.stuck import StuckTasks
from daemon.upkeep.sweeps import Sweeps, sweeps_of
from daemon.web.desk import Desk
from daemon.web.listening import prove_usable
from daemon.web.server import WebServer
from daemon.web.tallies import Tallies
from daemon.words import Words, words_of_tables
from daemon.words.catalogue import read_all
from daemon.workflows import Workflows
from ledger.jsondir.backup import copy_ledger
from ledger.jsondir.reader import history

#: What a service may still take after the stop signal; running GPU work is left running.
GRACE_SECONDS = 10.0

#: Makes one more service that watches the others: a progress display, for example.
Observer: TypeAlias = Callable[[Desk], Service]


async def run(
    settings: Settings,
    *,
    once: bool = False,
    clock: Clock | None = None,
    reload: ReadSettings | None = None,
    observer: Observer | None = None,
    manager: ServiceManager | None = None,
    ended: Callable[[Outcome], None] = lambda _: None,
) -> int:
    """Run the daemon until a signal, or with *once* until nothing is left to do.

    Returns the exit code: 0, or 1 when *once* leaves failed, rejected or blocked rows, or is
    stopped before. Raises LedgerLocked, TemplateError, ConfigError when the door's address cannot
    be used, and with *once* LedgerDamaged: nothing would ever be dispatched. SIGTERM and SIGINT
    stop it (a second one at once), SIGHUP has *reload* read workflows and alert settings anew. The
    service that *observer* makes runs beside the others; *manager* is told how the daemon stands,
    *ended* what *once* came to.
    """
    clock, manager = clock or SystemClock(), manager or ServiceManager({})
    read_all()
    words = Words("zh" if settings.language == "zh" else "en")
    workflows = Workflows(settings)
    reloading = Reloading(settings, reload, manager, workflows.load)
    stop, stopped_early = asyncio.Event(), int(once)  # whoever waits for the end has not got it
    async with AsyncExitStack() as closing:
        closing.enter_context(signals(stop, reloading.reload))
        opening = Opening(settings, workflows, clock, manager, words)
        if (ground := await opening.open(closing, stop, once=once)) is None:
            return stopped_early
        await prove_usable(settings.web)
        closing.enter_context(loop_first())
        closing.enter_context(logs.by_turns(asyncio.get_running_loop().call_soon))
        tallies = await Tallies.begin(ground.ledger, ground.metrics, clock)
        recovery = _recovery(ground, manager, words)
        await recovery.recover(stop)
        if stop.is_set():
            return stopped_early
        work = await _work(ground, tallies, manager, words)
        closing.push_async_callback(work.tables.close)
        reloading.add(lambda anew: work.alerts.replace(anew.alerts), lambda _: workflows.replaced())
        observers = [observer(work.desk)] if observer else []
        watchers = [*observers, work.completion] if once else observers
        await run_services([recovery, *work.services, *watchers], stop, grace_seconds=GRACE_SECONDS)
        if once:
            ended(work.completion.outcome())
        return int(once and work.completion.left_undone)


def _recovery(ground: Ground, manager: ServiceManager, words: Words) -> Recovery:
    """Return what settles what an earlier process left open."""

    def report(server: str, settled: int, total: int) -> None:
        line = words("liveness.recovering", server=server, settled=settled, total=total)
        manager.status(line)

    ledger, settlement, clock = ground.ledger, ground.settlement, ground.clock
    return Recovery(ledger, ground.servers, settlement, clock, report)


def _intake(ground: Ground) -> Intake:
    settings, needs = ground.settings, ground.workflows.needs
    named = columns_in(settings.outputs.name)
    return Intake(ground.ledger, ground.contents, needs, ground.clock, settings.inputs, named=named)


@dataclass(frozen=True, kw_only=True)
class Work:
    """All that works until the daemon stops, and those parts that are spoken to meanwhile."""

    services: Sequence[Service]
    tables: TableWork
    alerts: Alerts
    completion: Completion  # not among the services: only a run that ends of itself wants it
    desk: Desk


async def _work(ground: Ground, tallies: Tallies, manager: ServiceManager, words: Words) -> Work:
    """Make the services, in the order of the flow; nothing begins yet."""
    settings, ledger, clock = ground.settings, ground.ledger, ground.clock
    intake = _intake(ground)
    tables = make_table_work(ground, intake)
    inbox = Inbox(settings.inbox, intake, ledger, clock, words_of_tables(settings.language))
    followers = [
        Follower(state.client, state.settings, ledger, ground.settlement, clock)
        for state in ground.states
    ]
    backups = LedgerBackups(
        settings.state_dir / BACKUPS, partial(copy_ledger, settings.ledger.path)
    )
    stuck = _stuck(ground, backups, followers)
    quota = ground.feishu.quota if ground.feishu else None
    alerts = make_alerts(settings, ledger, clock, lambda: stuck.stuck, quota)
    collector = Collector(ledger, ground.clients, ground.workflows.settings, ground.paths, clock)
    desk = _desk(ground, tallies, intake, tables, inbox, followers, stuck, collector)
    web = WebServer(desk)
    services: list[Service] = [
        inbox,
        *tables.pollers,
        *tables.pushes,
        *await make_dispatch_work(ground),
        *(service for each in followers for service in (each, each.news)),
        collector,
        *tables.publishers,
        BatchKeeper(ledger, clock, ground.streaks),
        LedgerWatch(ledger, clock),
        FreedMemory(clock),
        _sweeps(ground, stuck, backups),
        alerts,
        web,
        web.sign,
        _liveness(ground, manager, words, web.opened),
    ]
    completion = Completion(
        ledger,
        tallies.endings,
        [inbox, *tables.pollers, *tables.publishers],
        clock,
        hindered=tables.are_hindered,
        refused=tables.refused_rows,
    )
    return Work(services=services, tables=tables, alerts=alerts, completion=completion, desk=desk)


def _sweeps(ground: Ground, stuck: StuckTasks, backups: LedgerBackups) -> Sweeps:
    settings, ledger, clock = ground.settings, ground.ledger, ground.clock
    steady = SteadyTime(clock)
    sweeps = sweeps_of(settings, ledger, stuck, backups, ground.folder.absolute, clock, steady)
    return Sweeps(sweeps, clock, steady)


def _stuck(ground: Ground, backups: LedgerBackups, followers: Sequence[Follower]) -> StuckTasks:
    return StuckTasks(
        ground.ledger,
        ground.servers,
        ground.settlement,
        backups,
        ground.clock,
        workflows=ground.workflows.settings,
        default_minutes=ground.settings.sweeps.max_runtime_minutes,
        progress_age_seconds=partial(silence_seconds, [each.news for each in followers]),
    )


def _desk(  # noqa: PLR0917 - what the page shows comes from everywhere
    ground: Ground,
    tallies: Tallies,
    intake: Intake,
    tables: TableWork,
    inbox: Inbox,
    followers: Sequence[Follower],
    stuck: StuckTasks,
    collector: Collector,
) -> Desk:
    return Desk(
        settings=ground.settings,
        ledger=ground.ledger,
        clock=ground.clock,
        intake=intake,
        servers=ground.states,
        tables=tables.handles,
        news=[follower.news for follower in followers],
        stuck=stuck,
        tallies=tallies,
        metrics=ground.metrics,
        journal_size_bytes=ground.journal_size_bytes,
        feishu_calls=lambda: ground.feishu.quota.calls if ground.feishu else None,
        history=partial(history, ground.settings.ledger.path),
        input_path=ground.contents.path_of,
        output_path=ground.folder.absolute,
        inbox_drops=lambda: inbox.lying,
        concerns=lambda: [*collector.concerns, *inbox.concerns, *tables.concerns()],
    )


def _liveness(
    ground: Ground, manager: ServiceManager, words: Words, opened: asyncio.Event
) -> Liveness:
    def servers_up() -> tuple[int, int]:
        return sum(state.health is not None for state in ground.states), len(ground.states)

    return Liveness(
        manager, ground.ledger, ground.clock, opened=opened, servers_up=servers_up, words=words
    )
