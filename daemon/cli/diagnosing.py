"""`stuck` and `recover` without a daemon: the servers are asked from here."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from functools import partial

import msgspec

from daemon import logs
from daemon.cli.invocation import Invocation
from daemon.cli.run import config_error
from daemon.clock import Clock, SystemClock
from daemon.comfy.client import ComfyClient
from daemon.dispatch.templates import TemplateError
from daemon.settle.settlement import Settlement
from daemon.upkeep.backup import BACKUPS, LedgerBackups
from daemon.upkeep.diagnosis import Limits
from daemon.upkeep.status_check import StatusCheck, status_check
from daemon.upkeep.stuck import RecoveryResult, StuckTasks
from daemon.workflows import Workflows
from ledger.errors import LedgerDamaged
from ledger.jsondir.backup import copy_ledger
from ledger.jsondir.reader import read_index
from ledger.jsondir.store import JsonDirBackend
from ledger.ledger import Ledger
from ledger.task import Json


def check(invocation: Invocation, max_minutes: float | None) -> dict[str, Json]:
    """Return how every task in process really stands; reads the ledger without its lock."""
    return _run(invocation, _check(invocation, max_minutes))


def recover(
    invocation: Invocation, actor: str, *, force: bool, max_minutes: float | None
) -> dict[str, Json]:
    """Set right what is stuck, under the ledger's lock.

    What a server still executes afterwards is left to the next daemon, with its request. Raises
    LedgerLocked, LedgerDamaged, and ConfigError for templates that cannot be used.
    """
    return _run(invocation, _recover(invocation, actor, force=force, max_minutes=max_minutes))


def _run(invocation: Invocation, work: Coroutine[None, None, object]) -> dict[str, Json]:
    logs.set_up(invocation.settings.log)
    answer: dict[str, Json] = msgspec.to_builtins(asyncio.run(work))
    return answer


async def _check(invocation: Invocation, max_minutes: float | None) -> StatusCheck:
    settings = invocation.settings
    clock = SystemClock()
    limits = Limits(
        workflows=settings.workflows,
        default_minutes=settings.sweeps.max_runtime_minutes,
        asked_minutes=max_minutes,
    )
    index = read_index(settings.ledger.path)
    async with _clients(invocation, clock) as clients:
        return await status_check(index, clients, clock, limits=limits, words=invocation.words)


async def _recover(
    invocation: Invocation, actor: str, *, force: bool, max_minutes: float | None
) -> RecoveryResult:
    settings = invocation.settings
    clock = SystemClock()
    async with _ledger(invocation) as ledger, _clients(invocation, clock) as clients:
        workflows = _workflows(invocation)
        stuck = StuckTasks(
            ledger,
            {each.name: (clients[each.name], each) for each in settings.servers},
            Settlement(ledger, clock, workflows.settings, workflows.results_of),
            LedgerBackups(settings.state_dir / BACKUPS, partial(copy_ledger, settings.ledger.path)),
            clock,
            workflows=workflows.settings,
            default_minutes=settings.sweeps.max_runtime_minutes,
            followed=False,
        )
        return await stuck.recover(
            invocation.words, actor=actor, force_reset=force, max_runtime_minutes=max_minutes
        )


def _workflows(invocation: Invocation) -> Workflows:
    try:
        return Workflows(invocation.settings)
    except TemplateError as error:
        raise config_error(error) from error


@asynccontextmanager
async def _ledger(invocation: Invocation) -> AsyncIterator[Ledger]:
    settings = invocation.settings.ledger
    backend = JsonDirBackend(
        settings.path,
        archive_after_days=settings.archive_after_days,
        history_days=settings.history_days,
    )
    ledger = Ledger(backend)
    await ledger.open()
    try:
        if ledger.damage:
            raise LedgerDamaged("; ".join(ledger.damage))
        yield ledger
    finally:
        await ledger.close()


@asynccontextmanager
async def _clients(invocation: Invocation, clock: Clock) -> AsyncIterator[dict[str, ComfyClient]]:
    clients = {
        server.name: ComfyClient(server.name, server.url, clock=clock, headers=server.headers)
        for server in invocation.settings.servers
    }
    try:
        yield clients
    finally:
        for client in clients.values():
            await client.close()
