"""A ledger in a folder, with a journal of several kinds of transactions."""

import asyncio
from pathlib import Path

import pytest

from ledger.jsondir.files import Disk
from ledger.jsondir.orders import Limits
from ledger.jsondir.store import JsonDirBackend
from ledger.ledger import Ledger
from ledger.status import Stage
from tests.fakes.records import AT, batch_record, task_record

#: No snapshot comes in between unless a test asks for one.
QUIET = Limits(snapshot_seconds=3600)


def in_folder(path: Path, disk: Disk | None = None, limits: Limits = QUIET) -> Ledger:
    return Ledger(JsonDirBackend(path, disk=disk, limits=limits))


async def write_some(ledger: Ledger, first: int = 1) -> None:
    """Commit a transaction of many lines, then single ones."""
    tasks = [task_record(n) for n in range(first, first + 4)]
    await ledger.commit(batch_record(f"b-{first}"), *tasks, op="batch.accepted")
    for each in tasks:
        task = each
        for stage in (Stage.SUBMITTING, Stage.RUNNING):
            task = task.moved(stage, at=AT, server="gpu-a")
            await ledger.commit(task, op=f"task.{stage}", reason="because", evidence={"queue": [1]})


@pytest.fixture
def folder(tmp_path) -> Path:
    return tmp_path / "ledger"


@pytest.fixture
def journal(folder) -> Path:
    """The only journal of a ledger whose process was killed: no snapshot covers it."""

    async def write() -> None:
        ledger = in_folder(folder)
        await ledger.open()
        await write_some(ledger)
        await ledger.close()

    asyncio.run(write())
    (folder / "ledger.json").unlink()
    return folder / "journal-000000000001.jsonl"
