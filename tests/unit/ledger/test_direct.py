"""A command's own ledger writes what the daemon's writes, under the same checks."""

import multiprocessing
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ledger.direct import DirectLedger
from ledger.entry import Meta
from ledger.errors import Conflict, IllegalMove, LedgerClosed, LedgerDamaged, LedgerLocked
from ledger.jsondir.check import verify
from ledger.jsondir.files import Disk
from ledger.jsondir.reader import history, read_state
from ledger.status import Stage
from tests.fakes.records import AT, batch_record, task_record
from tests.unit.ledger.conftest import in_folder, write_some

ROOT = Path(__file__).parents[3]


class FullDisk(Disk):
    """Takes half of what is appended, then is full."""

    def write(self, fd: int, data: bytes) -> None:
        os.write(fd, data[: len(data) // 2])
        raise OSError(28, "No space left on device")


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix != ".lock"}


async def test_a_command_goes_on_where_the_daemon_ended_and_the_daemon_after_it(folder):
    async with_daemon(folder) if False else None
