"""A command's own ledger writes what the daemon's writes, under the same checks."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from ledger.direct import DirectLedger
from ledger.entry import Meta
from ledger.errors import Conflict, IllegalMove, LedgerClosed, LedgerDamaged, LedgerLocked
from ledger.jsondir.check import verify
from ledger.jsondir.reader import history, read_state
from ledger.status import Stage
from tests.fakes.disk import FailingDisk
from tests.fakes.records import AT, batch_record, task_record
from tests.unit.ledger.conftest import in_folder, write_some

ROOT = Path(__file__).parents[3]
ACT = {"op": "task.cancelled", "actor": "cli:anna"}


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix != ".lock"}


@pytest.fixture
def filled(journal) -> Path:
    """The folder of a ledger with one batch, some running tasks and no snapshot."""
    return journal.parent


async def test_a_command_goes_on_after_the_daemon_and_the_daemon_after_the_command(folder):
    ledger = in_folder(folder)
    await ledger.open()
    await write_some(ledger)
    await ledger.close()
    with DirectLedger(folder) as direct:
        task = direct.task("img_20261121_000001")
        direct.commit(task.moved(Stage.WAITING, at=AT), op="task.reset", actor="cli:anna")
        task = direct.task("img_20261121_000001")
        direct.commit(task.moved(Stage.CANCELLED, at=AT), reason="unwanted", **ACT)
    ledger = in_folder(folder)
    await ledger.open()
    assert ledger.task("img_20261121_000001").stage is Stage.CANCELLED
    assert not ledger.damage
    await write_some(ledger, first=9)
    await ledger.close()
    assert verify(folder) == []


def test_who_did_it_why_and_from_what_evidence_stands_in_the_journal(filled):
    with DirectLedger(filled) as direct:
        task = direct.task("img_20261121_000002").moved(Stage.CANCELLED, at=AT)
        direct.commit(task, reason="unwanted", evidence={"queue": []}, **ACT)
    line = history(filled, task.task_id)[-1]
    assert (line.op, line.actor, line.reason) == ("task.cancelled", "cli:anna", "unwanted")
    assert line.evidence == {"queue": []}
    assert verify(filled) == []


def test_a_folder_that_is_not_there_becomes_a_ledger_at_the_first_change(folder):
    with DirectLedger(folder) as direct:
        assert [*direct.batches()] == []
    assert [path.name for path in folder.iterdir() if path.suffix != ".lock"] == []
    with DirectLedger(folder) as direct:
        direct.commit(Meta(section="servers", key="a", value={"drained": True}), **ACT)
    assert read_state(folder).meta["servers"] == {"a": {"drained": True}}
    assert verify(folder) == []


def test_ledger_json_shows_a_change_as_soon_as_the_command_is_done(filled):
    for stage in (Stage.WAITING, Stage.CANCELLED):  # without a snapshot before, and upon one
        with DirectLedger(filled) as direct:
            direct.commit(direct.task("img_20261121_000001").moved(stage, at=AT), **ACT)
        document = json.loads((filled / "ledger.json").read_bytes())
        assert document["tasks"]["img_20261121_000001"]["stage"] == stage
    assert verify(filled) == []


def test_a_great_snapshot_is_left_to_the_next_daemon(filled, monkeypatch):
    monkeypatch.setattr("ledger.direct.CHEAP_BYTES", 0)
    with DirectLedger(filled) as direct:
        direct.commit(direct.task("img_20261121_000001").moved(Stage.CANCELLED, at=AT), **ACT)
    assert not (filled / "ledger.json").exists()
    assert read_state(filled).tasks["img_20261121_000001"].stage is Stage.CANCELLED


def test_compaction_leaves_one_snapshot_an_empty_journal_and_the_whole_history(filled):
    before = [line.seq for line in history(filled, "img_20261121_000001")]
    with DirectLedger(filled) as direct:
        direct.compact()
    with DirectLedger(filled) as direct:  # with nothing to do
        direct.compact()
    (journal,) = filled.glob("journal-*")
    assert journal.read_bytes() == b""
    assert set(json.loads((filled / "ledger.json").read_bytes())["tasks"]) == set(
        read_state(filled).tasks
    )
    assert [line.seq for line in history(filled, "img_20261121_000001")] == before
    assert verify(filled) == []


def test_compaction_keeps_a_damaged_snapshot_aside(filled):
    with DirectLedger(filled) as direct:
        direct.commit(direct.task("img_20261121_000001").moved(Stage.CANCELLED, at=AT), **ACT)
    (filled / "ledger.json").write_bytes(b"{}")
    with DirectLedger(filled) as direct:  # the journals have all of it
        direct.commit(direct.task("img_20261121_000002").moved(Stage.CANCELLED, at=AT), **ACT)
    assert (filled / "ledger.json").read_bytes() == b"{}"
    with DirectLedger(filled) as direct:
        direct.compact()
    assert [path.read_bytes() for path in filled.glob("ledger.json.corrupt-*")] == [b"{}"]
    assert verify(filled) == []


def test_looking_without_a_change_leaves_every_byte_as_it_was(filled):
    before = contents(filled)
    with DirectLedger(filled) as direct:
        assert direct.counts()[Stage.RUNNING] == 4
    assert contents(filled) == before


def test_changes_that_are_not_lawful_are_refused_and_nothing_is_written(filled):
    before = contents(filled)
    with DirectLedger(filled) as direct:
        task = direct.task("img_20261121_000001")
        with pytest.raises(Conflict):
            direct.commit(task, **ACT)
        with pytest.raises(IllegalMove):
            task.moved(Stage.SUBMITTING, at=AT)
        second_open = task_record(77, row_id=task.row_id)
        with pytest.raises(Conflict, match="of the same row and type is open"):
            direct.commit(batch_record("other"), second_open, **ACT)
        with pytest.raises(ValueError, match="JSON"):
            direct.commit(task.changed(at=AT, blocked_by="\ud800"), **ACT)
        with pytest.raises(ValueError, match="at least one"):
            direct.commit(**ACT)
    after = contents(filled)
    after.pop("ledger.holder.json", None)
    assert after == before


def test_ids_are_never_given_twice_whoever_gives_them(filled):
    with DirectLedger(filled) as direct:
        first = direct.new_task_ids("图片合成", AT, 2)
        assert first == ["img_20261121_000005", "img_20261121_000006"]
        assert direct.new_task_ids("图片合成", AT) == ["img_20261121_000007"]
        direct.commit(task_record(6), **ACT)
    with DirectLedger(filled) as direct:
        assert direct.new_task_ids("图片合成", AT) == ["img_20261121_000007"]


async def test_while_a_daemon_writes_a_command_gets_no_lock_and_learns_who_has_it(filled):
    ledger = in_folder(filled)
    await ledger.open()
    with pytest.raises(LedgerLocked, match="process"), DirectLedger(filled):
        pass
    await ledger.close()
    with DirectLedger(filled) as direct:
        assert direct.counts()[Stage.RUNNING] == 4


def test_a_torn_tail_is_cut_off_by_the_first_change(filled, journal):
    with journal.open("ab") as file:
        file.write(b'{"seq":13,"at":"2026')
    with DirectLedger(filled) as direct:
        direct.commit(direct.task("img_20261121_000003").moved(Stage.CANCELLED, at=AT), **ACT)
    assert verify(filled) == []
    assert read_state(filled).tasks["img_20261121_000003"].stage is Stage.CANCELLED


def test_a_damaged_ledger_is_left_to_repair(filled, journal):
    data = bytearray(journal.read_bytes())
    data[len(data) // 2] ^= 1
    journal.write_bytes(data)
    before = contents(filled)
    with pytest.raises(LedgerDamaged), DirectLedger(filled):
        pass
    assert contents(filled) == before


def test_a_full_disk_ends_writing_and_the_change_is_wholly_absent(filled):
    before = contents(filled)
    disk = FailingDisk()
    with DirectLedger(filled, disk=disk) as direct:
        disk.full = True
        task = direct.task("img_20261121_000001").moved(Stage.CANCELLED, at=AT)
        with pytest.raises(LedgerClosed, match="No space left"):
            direct.commit(task, **ACT)
        disk.full = False
        with pytest.raises(LedgerClosed, match="takes no changes"):
            direct.commit(task, **ACT)
    assert contents(filled) == before
    assert verify(filled) == []


def test_a_bad_disk_that_cannot_even_be_cut_back_leaves_a_ledger_that_opens(filled):
    disk = FailingDisk()
    with DirectLedger(filled, disk=disk) as direct:
        disk.full = disk.cutting_fails = True
        with pytest.raises(LedgerClosed):
            direct.commit(direct.task("img_20261121_000001").moved(Stage.CANCELLED, at=AT), **ACT)
    with DirectLedger(filled) as direct:
        assert direct.task("img_20261121_000001").stage is Stage.RUNNING
        direct.commit(direct.task("img_20261121_000001").moved(Stage.CANCELLED, at=AT), **ACT)
    assert verify(filled) == []


def test_it_loads_no_event_loop_no_http_and_no_logs():
    code = (
        "import sys, ledger.direct, daemon.actions.plan\n"
        "print(sorted({'asyncio', 'aiohttp', 'structlog'} & sys.modules.keys()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"
