"""Backups open as the ledger they were made of, also beside a writer at work."""

import asyncio
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest

from daemon.upkeep.backup import LedgerBackups
from ledger.jsondir.backup import copy_ledger
from ledger.jsondir.check import verify
from ledger.jsondir.orders import Limits
from ledger.jsondir.reader import read_state
from ledger.jsondir.store import JsonDirBackend
from ledger.ledger import Ledger
from tests.fakes.records import AT, batch_record, task_record

NOW = datetime(2026, 11, 21, 10, tzinfo=UTC)


async def test_a_backup_opens_as_the_same_ledger_and_can_take_its_place(tmp_path: Path) -> None:
    ledger = Ledger(JsonDirBackend(tmp_path / "ledger"))
    await ledger.open()
    await ledger.commit(batch_record(), task_record(), op="batch.accepted")
    backup = LedgerBackups(tmp_path / "b", partial(copy_ledger, tmp_path / "ledger")).make(NOW)
    await ledger.commit(task_record().changed(at=AT, priority=1), op="task.changed")
    await ledger.close()
    restored = Ledger(JsonDirBackend(backup))
    await restored.open()
    assert [task.version for task in restored.tasks()] == [1]
    await restored.commit(task_record(2), op="task.accepted")
    await restored.close()
    assert verify(backup) == []


async def test_backups_beside_a_busy_writer_are_all_whole_and_never_older_than_asked(
    tmp_path: Path,
) -> None:
    limits = Limits(
        journal_bytes=20_000, unfolded_bytes=20_000, snapshot_seconds=0.01, snapshot_share=0.5
    )
    ledger = Ledger(JsonDirBackend(tmp_path / "ledger", limits=limits))
    await ledger.open()
    backups = LedgerBackups(tmp_path / "b", partial(copy_ledger, tmp_path / "ledger"), kept=100)
    made = 0
    done = asyncio.Event()

    async def write() -> None:
        nonlocal made
        while not done.is_set():
            await ledger.commit(task_record(made + 1), op="task.accepted")
            made += 1

    async def copy() -> None:
        while not made:
            await asyncio.sleep(0)
        for number in range(15):
            before = made
            backup = await asyncio.to_thread(backups.make, NOW + timedelta(seconds=number))
            assert len(read_state(backup).tasks) >= before
            assert read_state(backup).damage == []
        done.set()

    await asyncio.gather(write(), copy())
    await ledger.close()
    assert all(len(read_state(path).tasks) for path in backups.all())


def test_only_the_newest_are_kept(tmp_path: Path) -> None:
    backups = LedgerBackups(tmp_path / "b", Path.mkdir, kept=3)
    made = [backups.make(NOW + timedelta(days=day)) for day in range(5)]
    assert backups.all() == made[2:]


def test_two_backups_of_one_moment_do_not_overwrite_each_other(tmp_path: Path) -> None:
    backups = LedgerBackups(tmp_path / "b", Path.mkdir)
    made = [backups.make(NOW) for _ in range(3)]
    assert backups.all() == made


def test_a_backup_that_was_broken_off_is_no_backup_and_goes_with_the_next(tmp_path: Path) -> None:
    def break_off(target: Path) -> None:
        target.mkdir()
        raise OSError("disk full")

    with pytest.raises(OSError):
        LedgerBackups(tmp_path / "b", break_off).make(NOW)
    backups = LedgerBackups(tmp_path / "b", Path.mkdir)
    assert backups.all() == []
    backups.make(NOW)
    assert len(list((tmp_path / "b").iterdir())) == 1


def test_a_backup_whose_removal_was_broken_off_is_no_backup_any_more(
    tmp_path: Path, monkeypatch
) -> None:
    def break_off(_folder: Path) -> None:
        raise OSError("killed, as it were")

    backups = LedgerBackups(tmp_path / "b", Path.mkdir, kept=1)
    backups.make(NOW)
    with monkeypatch.context() as patched:
        patched.setattr("shutil.rmtree", break_off)
        with pytest.raises(OSError, match="as it were"):
            backups.make(NOW + timedelta(days=1))
    assert len(backups.all()) == 1
    made = backups.make(NOW + timedelta(days=2))
    assert list((tmp_path / "b").iterdir()) == [made]


def test_a_ledger_that_is_not_there_yet_makes_an_empty_backup(tmp_path: Path) -> None:
    backup = LedgerBackups(tmp_path / "b", partial(copy_ledger, tmp_path / "none")).make(NOW)
    assert list(backup.iterdir()) == []
