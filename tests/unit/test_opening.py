"""A start waits for room, for a moment for the lock, and for nothing else."""

import asyncio
import errno
import os
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from daemon import failpoint
from daemon.clock import SystemClock
from daemon.notify import ServiceManager
from daemon.opening import ASK_SECONDS, Opening
from daemon.words import Words
from daemon.workflows import Workflows
from ledger.errors import LedgerClosed, LedgerLocked
from ledger.jsondir.files import Disk
from ledger.jsondir.lock import FolderLock
from tests.fakes.clock import FakeClock
from tests.fakes.world import small_world


def armed(number: int) -> Iterator[None]:
    """Have every append to a journal fail with the error *number*."""

    def fail(place: str) -> None:
        if place == "journal.before_append":
            raise OSError(number, os.strerror(number))

    failpoint.arm(fail)
    yield
    failpoint.arm(None)


@pytest.fixture
def failing_disk() -> Iterator[None]:
    yield from armed(errno.EIO)


@pytest.fixture
def full_disk() -> Iterator[None]:
    yield from armed(errno.ENOSPC)


@pytest.mark.usefixtures("failing_disk")
async def test_a_disk_that_fails_ends_the_start_instead_of_being_called_full(
    tmp_path: Path,
) -> None:
    settings = small_world(tmp_path / "world", "http://127.0.0.1:9").settings()
    opening = Opening(settings, Workflows(settings), SystemClock(), ServiceManager({}), Words("en"))
    async with asyncio.timeout(3), AsyncExitStack() as closing:
        with pytest.raises(LedgerClosed, match="Input/output error"):
            await opening.open(closing, asyncio.Event(), once=False)


async def test_a_command_that_holds_the_lock_for_a_moment_does_not_end_the_start(
    tmp_path: Path,
) -> None:
    settings = small_world(tmp_path / "world", "http://127.0.0.1:9").settings()
    opening = Opening(settings, Workflows(settings), SystemClock(), ServiceManager({}), Words("en"))
    settings.ledger.path.mkdir(parents=True)
    lock = FolderLock(settings.ledger.path, Disk())
    lock.take("2026-11-26T10:00:00.000Z")
    asyncio.get_running_loop().call_later(0.3, lock.drop)
    async with asyncio.timeout(20), AsyncExitStack() as closing:
        assert await opening.open(closing, asyncio.Event(), once=False) is not None


async def test_a_lock_that_another_process_keeps_ends_the_start(tmp_path: Path) -> None:
    settings = small_world(tmp_path / "world", "http://127.0.0.1:9").settings()
    opening = Opening(settings, Workflows(settings), SystemClock(), ServiceManager({}), Words("en"))
    settings.ledger.path.mkdir(parents=True)
    lock = FolderLock(settings.ledger.path, Disk())
    lock.take("2026-11-26T10:00:00.000Z")
    async with asyncio.timeout(20), AsyncExitStack() as closing:
        with pytest.raises(LedgerLocked, match=f"process {os.getpid()}"):
            await opening.open(closing, asyncio.Event(), once=False)
    lock.drop()


class WatchedClock(FakeClock):
    """A clock that tells when somebody waits by it, and how long."""

    def __init__(self) -> None:
        super().__init__()
        self.waits: asyncio.Queue[float] = asyncio.Queue()

    async def pause(self, seconds: float, *until: asyncio.Event) -> None:
        self.waits.put_nowait(seconds)
        await super().pause(seconds, *until)


@pytest.mark.usefixtures("full_disk")
async def test_a_start_that_waits_says_so_once_in_the_log_and_holds_the_lock_between_its_tries(
    tmp_path: Path,
) -> None:
    settings = small_world(tmp_path / "world", "http://127.0.0.1:9").settings()
    clock, stop = WatchedClock(), asyncio.Event()
    opening = Opening(settings, Workflows(settings), clock, ServiceManager({}), Words("en"))
    other = FolderLock(settings.ledger.path, Disk())
    with capture_logs() as logged:
        async with asyncio.timeout(20), AsyncExitStack() as closing:
            opened = asyncio.ensure_future(opening.open(closing, stop, once=False))
            for _ in range(3):
                assert await clock.waits.get() == ASK_SECONDS
                with pytest.raises(LedgerLocked, match=f"process {os.getpid()}"):
                    other.take("2026-11-26T10:00:00.000Z")
                clock.advance(ASK_SECONDS)
            await clock.waits.get()
            failpoint.arm(None)  # somebody made room
            clock.advance(ASK_SECONDS)
            assert await opened is not None
    told = [line["event"] for line in logged if line["event"].startswith("start.")]
    assert told == ["start.waits_for_room", "start.door_opened"]
