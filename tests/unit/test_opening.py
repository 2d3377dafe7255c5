"""A start waits for room, and for nothing else."""

import asyncio
import errno
import os
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from daemon import failpoint
from daemon.clock import SystemClock
from daemon.notify import ServiceManager
from daemon.opening import Opening
from daemon.words import Words
from daemon.workflows import Workflows
from ledger.errors import LedgerClosed
from tests.fakes.world import small_world


@pytest.fixture
def failing_disk() -> Iterator[None]:
    def fail(place: str) -> None:
        if place == "journal.before_append":
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    failpoint.arm(fail)
    yield
    failpoint.arm(None)


@pytest.mark.usefixtures("failing_disk")
async def test_a_disk_that_fails_ends_the_start_instead_of_being_called_full(
    tmp_path: Path,
) -> None:
    settings = small_world(tmp_path / "world", "http://127.0.0.1:9").settings()
    opening = Opening(settings, Workflows(settings), SystemClock(), ServiceManager({}), Words("en"))
    async with asyncio.timeout(3), AsyncExitStack() as closing:
        with pytest.raises(LedgerClosed, match="Input/output error"):
            await opening.open(closing, asyncio.Event(), once=False)
