"""`ledger backup` from the command line: a copy that can be relied on, or none."""

import os
import shutil
from datetime import UTC, datetime
from functools import partial

import pytest

from daemon.upkeep.backup import COPYING, COPYING_SECONDS, LedgerBackups, backups_in
from ledger.direct import DirectLedger
from ledger.jsondir.backup import copy_ledger
from ledger.jsondir.reader import read_state
from tests.fakes.records import batch_record, task_record
from tests.unit.cli.conftest import CommandLine


@pytest.fixture
def filled(command: CommandLine) -> CommandLine:
    command.record([batch_record(), task_record(1)])
    return command


def test_a_ledger_that_is_being_written_is_backed_up_and_can_be_restored_by_name(filled):
    with DirectLedger(filled.ledger) as ledger:
        ledger.commit(task_record(2), op="task.accepted", actor="test")
        told = filled("ledger", "backup")
        ledger.commit(task_record(3), op="task.accepted", actor="test")
    (backup,) = backups_in(filled.state_dir / "ledger-backups")
    assert f"The ledger was copied to {backup}: 2 tasks, last change 3" in told
    filled("ledger", "restore", backup.name)
    assert [*read_state(filled.ledger).tasks] == [task_record(n).task_id for n in (1, 2)]
    assert "The ledger is whole" in filled("ledger", "verify")


def test_a_path_of_ones_own_is_taken_from_where_one_stands_and_told_in_json(filled, tmp_path):
    made = filled.json("ledger", "backup", "elsewhere/mine")
    backup = tmp_path / "elsewhere" / "mine"
    assert (made["path"], made["tasks"], made["last_seq"]) == (str(backup), 1, 2)
    assert made["size_bytes"] == sum(each.stat().st_size for each in backup.iterdir())
    assert list(backup.parent.iterdir()) == [backup]


@pytest.mark.parametrize("there", ["mine", f"mine{COPYING}"])
def test_nothing_that_is_there_is_overwritten(filled, tmp_path, there):
    mine = tmp_path / there
    mine.mkdir()
    (mine / "note").write_text("keep me")
    error = filled.json("ledger", "backup", "mine", code=1)["error"]
    assert (error["code"], str(mine) in error["message"]) == ("backup_exists", True)
    assert [*mine.iterdir()] == [mine / "note"]
    assert not (tmp_path / "mine" / "ledger.json").exists()


def test_of_a_damaged_ledger_there_is_no_backup(filled, tmp_path):
    (filled.ledger / "ledger.json").unlink()
    (journal,) = filled.ledger.glob("journal-*")
    journal.write_bytes(journal.read_bytes().replace(b"spring", b"sprint", 1))
    error = filled.json("ledger", "backup", "mine", code=1)["error"]
    assert error["code"] == "ledger_damaged"
    assert list(tmp_path.glob("mine*")) == []


def test_without_a_ledger_there_is_nothing_to_back_up(command, tmp_path):
    assert command.json("ledger", "backup", "mine", code=1)["error"]["code"] == "no_ledger"
    assert list(tmp_path.glob("mine*")) == []


def test_a_copy_that_was_killed_is_no_backup_and_goes_once_nobody_can_be_at_it(filled):
    folder = filled.state_dir / "ledger-backups"
    killed = folder / f"2026-11-20T100000.000Z-01{COPYING}"
    killed.mkdir(parents=True)
    backups = LedgerBackups(folder, partial(copy_ledger, filled.ledger))
    now = datetime.now(UTC)
    first = backups.make(now)
    assert killed.exists()
    long_ago = now.timestamp() - COPYING_SECONDS - 1
    os.utime(killed, (long_ago, long_ago))
    second = backups.make(now)
    assert not killed.exists()
    assert backups.all() == [first, second]


def test_what_a_restore_kept_aside_is_told_by_check_until_somebody_removes_it(filled):
    filled("ledger", "backup", str(filled.state_dir / "mine"))
    filled("ledger", "restore", str(filled.state_dir / "mine"))
    (aside,) = filled.state_dir.glob("ledger.lost-*")
    told = filled("check", code=1)  # no server answers
    (line,) = (each for each in told.splitlines() if "kept aside" in each)
    assert line.startswith("warn")
    assert aside.name in line
    shutil.rmtree(aside)
    assert "kept aside" not in filled("check", code=1)
