"""`ledger restore` from the command line: what it says, and what it refuses."""

from pathlib import Path

import pytest

from ledger.direct import DirectLedger
from ledger.jsondir.backup import copy_ledger
from tests.fakes.records import batch_record, task_record
from tests.unit.cli.conftest import CommandLine

NAME = "2026-11-21T100000.000Z-01"


@pytest.fixture
def backup(command: CommandLine) -> Path:
    command.record([batch_record(), task_record(1)])
    backup = command.state_dir / "ledger-backups" / NAME
    copy_ledger(command.ledger, backup)
    command.record([task_record(2)])
    return backup


@pytest.mark.usefixtures("backup")
def test_a_backup_is_restored_by_its_name_and_what_is_lost_is_told(command):
    told = command("ledger", "restore", NAME)
    assert f"Restored from {NAME}: 1 tasks, last change 2." in told
    assert "Changes 3 to 3 are lost" in told
    (aside,) = command.state_dir.glob("ledger.lost-*")
    assert str(aside) in told
    assert "inbox/accepted" in told
    assert "Rows that waited when the backup was made and ran since run once more" in told
    assert [each["task_id"] for each in command.json("tasks")["tasks"]] == [task_record(1).task_id]
    assert "The ledger is whole" in command("ledger", "verify")
    command("task", task_record(2).task_id, code=1)


def test_as_json_it_answers_what_it_did(command, backup):
    done = command.json("ledger", "restore", str(backup))
    assert (done["tasks"], done["last_seq"], done["lost"]) == (1, 2, [3, 3])
    assert Path(done["kept_aside"]).is_dir()


@pytest.mark.usefixtures("backup")
def test_nothing_is_restored_while_another_process_writes(command):
    with DirectLedger(command.ledger):
        command("ledger", "restore", NAME, code=3)
    assert "in use by process" in command.err


@pytest.mark.usefixtures("backup")
def test_an_unknown_backup_is_bad_usage_and_those_that_there_are_are_named(command):
    command("ledger", "restore", "2026-01-01", code=2)
    assert NAME in command.err
    assert command.json("ledger", "restore", "nothing", code=2)["error"]["code"] == "unknown_backup"


def test_a_damaged_backup_is_refused_and_nothing_changes(command, backup):
    content = bytearray((backup / "ledger.json").read_bytes())
    content[-30] ^= 1
    (backup / "ledger.json").write_bytes(content)
    for journal in backup.glob("journal-*"):
        journal.write_bytes(journal.read_bytes()[3:])
    command("ledger", "restore", NAME, code=1)
    assert "Choose another backup" in command.err
    assert len(command.json("tasks")["tasks"]) == 2
