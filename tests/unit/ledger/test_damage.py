"""What damaged files do: nothing whole is lost, nothing lost is hidden."""

import os
import shutil
from datetime import UTC, datetime

import orjson
import pytest
from structlog.testing import capture_logs

from ledger.direct import DirectLedger
from ledger.entry import Meta, transaction_of
from ledger.errors import LedgerDamaged, LedgerTooNew
from ledger.jsondir.check import verify
from ledger.jsondir.journal import CRC_BYTES, encode, sealed
from ledger.jsondir.loading import load
from ledger.jsondir.mark import mark_path
from ledger.jsondir.reader import history, read_state
from ledger.jsondir.repair import repair
from ledger.jsondir.scan import scan
from ledger.status import Stage, Status
from ledger.task import OutputFile
from ledger.timestamps import to_timestamp
from tests.fakes.records import AT, task_record
from tests.unit.ledger.conftest import in_folder, write_some

LAST_BYTES = 4096


def seqs_by_transaction(data: bytes) -> list[tuple[int, int]]:
    """(last seq, end offset) of every whole transaction."""
    found, end = [], 0
    for line in data.splitlines(keepends=True):
        end += len(line)
        content = orjson.loads(line)
        if "n" in content:
            found.append((content["seq"], end))
    return found


def now() -> datetime:
    return datetime(2026, 11, 22, tzinfo=UTC)


def test_a_journal_cut_at_any_byte_opens_with_every_transaction_before_the_cut(folder, journal):
    whole = journal.read_bytes()
    transactions = seqs_by_transaction(whole)
    for cut in range(len(whole), len(whole) - LAST_BYTES, -1):
        os.truncate(journal, cut)
        state = read_state(folder)
        expected = max((seq for seq, end in transactions if end <= cut), default=0)
        but_for_the_newline = max((seq for seq, end in transactions if end <= cut + 1), default=0)
        assert state.last_seq in (expected, but_for_the_newline)
        assert state.damage == []


async def test_a_torn_last_line_is_cut_off_and_writing_goes_on_behind_it(folder):
    ledger = in_folder(folder)
    await ledger.open()
    await write_some(ledger)
    await ledger.close()
    (folder / "ledger.json").unlink()
    journal = folder / "journal-000000000001.jsonl"
    whole = journal.read_bytes()
    for lacking in (1, 2, 200):
        mark_path(folder).unlink()  # of a process that was killed; it saw none of these changes
        journal.write_bytes(whole[:-lacking])
        ledger = in_folder(folder)
        await ledger.open()
        assert ledger.damage == ()
        assert ledger.last_seq == (13 if lacking == 1 else 12)
        await ledger.commit(task_record(77), op="a.b")
        await ledger.close()
        assert verify(folder) == []
        shutil.rmtree(folder)
        folder.mkdir()


def test_any_flipped_byte_of_a_middle_line_is_noticed_and_costs_only_its_transaction(
    folder, journal
):
    whole = journal.read_bytes()
    lines = whole.splitlines(keepends=True)
    middle = 8
    start = sum(map(len, lines[:middle]))
    lost = orjson.loads(lines[middle])["seq"]
    for place in range(start, start + len(lines[middle])):
        with journal.open("r+b") as file:
            file.seek(place - 1)
            file.write(whole[place - 1 : place] + bytes([whole[place] ^ 0x20]))
        found = load(folder)
        kept = {
            line.seq
            for each in scan(journal.read_bytes(), journal.name).transactions
            for line in each
        }
        assert found.state.damage, place
        assert set(range(1, 14)) - kept <= {lost}
        assert found.state.last_seq == 13


def test_a_flipped_newline_loses_neither_line_beside_it(folder, journal):
    data = bytearray(journal.read_bytes())
    data[data.index(b"\n", 5000)] = ord("x")
    journal.write_bytes(data)
    found = load(folder)
    assert sum(len(each) for each in scan(journal.read_bytes(), journal.name).transactions) == 13
    assert found.state.damage


def test_damage_in_the_last_whole_line_is_damage_and_no_torn_tail(folder, journal):
    data = bytearray(journal.read_bytes())
    data[-100] ^= 1
    journal.write_bytes(data)
    assert read_state(folder).damage


def test_one_damaged_line_of_a_transaction_makes_all_of_it_absent(folder, journal):
    data = bytearray(journal.read_bytes())
    data[data.index(b"\n") + 100] ^= 1  # in the second line of five
    journal.write_bytes(data)
    state = read_state(folder)
    assert state.damage
    assert state.batches == {}


async def damaged(folder) -> None:
    """A ledger that was closed well, then damaged in a journal that a snapshot covers not."""
    ledger = in_folder(folder)
    await ledger.open()
    await write_some(ledger)
    await ledger.close()
    (folder / "ledger.json").unlink()
    journal = folder / "journal-000000000001.jsonl"
    data = bytearray(journal.read_bytes())
    data[data.index(b'{"seq":9,') + 30] ^= 1
    journal.write_bytes(data)


async def test_a_damaged_ledger_opens_takes_changes_and_keeps_its_evidence(folder):
    await damaged(folder)
    evidence = (folder / "journal-000000000001.jsonl").read_bytes()
    for number in (50, 51):
        ledger = in_folder(folder)
        await ledger.open()
        assert ledger.damage
        await ledger.commit(task_record(number), op="a.b")
        with pytest.raises(LedgerDamaged):
            await ledger.compact()
        await ledger.close()
        assert (folder / "journal-000000000001.jsonl").read_bytes() == evidence
        assert not (folder / "ledger.json").exists()
    assert len(read_state(folder).tasks) == 6


async def test_repair_keeps_all_that_is_whole_and_lists_the_rest(folder):
    await damaged(folder)
    before = read_state(folder)
    assert verify(folder)
    result = repair(folder, now=now)
    assert any("9" in each for each in result.lost)
    assert [each for each in result.kept_aside if ".corrupt-" in each]
    assert all((folder / name).exists() for name in result.kept_aside)
    after = read_state(folder)
    assert after.damage == []
    assert dict(after.tasks) == dict(before.tasks)
    assert verify(folder) == []
    ledger = in_folder(folder)
    await ledger.open()
    assert ledger.damage == ()
    await ledger.commit(task_record(60), op="a.b")
    await ledger.compact()
    await ledger.close()
    assert verify(folder) == []
    assert repair(folder, now=now).kept_aside == []
    assert [line.op for line in history(folder, "img_20261121_000001")][:1] == ["batch.accepted"]


async def test_repair_mends_the_last_line_too(folder):
    ledger = in_folder(folder)
    await ledger.open()
    await write_some(ledger)
    await ledger.close()
    (folder / "ledger.json").unlink()
    journal = folder / "journal-000000000001.jsonl"
    data = bytearray(journal.read_bytes())
    data[-100] ^= 1
    journal.write_bytes(data)
    repair(folder, now=now)
    assert read_state(folder).damage == []
    assert verify(folder) == []


async def compacted_twice(folder) -> None:
    """Write a ledger that has a snapshot, the one before, and an archived journal for each."""
    ledger = in_folder(folder)
    await ledger.open()
    await write_some(ledger)
    await ledger.compact()
    await write_some(ledger, first=10)
    await ledger.compact()
    await ledger.close()


async def test_a_damaged_snapshot_is_rebuilt_without_loss(folder):
    ledger = in_folder(folder)
    await ledger.open()
    await write_some(ledger)
    await ledger.compact()
    await write_some(ledger, first=10)
    await ledger.compact()
    await write_some(ledger, first=20)
    await ledger.close()
    expected = dict(read_state(folder).tasks)
    whole = (folder / "ledger.json").read_bytes()
    for place in (5, len(whole) // 2, len(whole) - 4):
        data = bytearray(whole)
        data[place] ^= 1
        (folder / "ledger.json").write_bytes(data)
        assert any("ledger.json" in each for each in verify(folder))
        assert dict(read_state(folder).tasks) == expected
    await ledger.open()
    assert ledger.damage == ()
    await ledger.commit(task_record(70), op="a.b")
    await ledger.close()
    assert list(folder.glob("ledger.json.corrupt-*"))
    assert verify(folder) == []
    assert len(read_state(folder).tasks) == 13


async def test_without_any_snapshot_the_archive_gives_the_state_back(folder):
    await compacted_twice(folder)
    expected = dict(read_state(folder).tasks)
    (folder / "ledger.json").write_text("{}")
    (folder / "ledger.previous.json").unlink()
    state = read_state(folder)
    assert (dict(state.tasks), state.damage) == (expected, [])


async def test_a_snapshot_that_rots_while_the_daemon_runs_is_written_anew(folder):
    ledger = in_folder(folder)
    await ledger.open()
    await write_some(ledger)
    await ledger.compact()
    data = bytearray((folder / "ledger.json").read_bytes())
    data[len(data) // 2] ^= 1
    (folder / "ledger.json").write_bytes(data)
    await write_some(ledger, first=10)
    await ledger.compact()
    await ledger.close()
    assert verify(folder) == []
    assert len(read_state(folder).tasks) == 8


async def test_a_journal_that_is_gone_is_told(folder):
    await compacted_twice(folder)
    (folder / "archive" / "journal-000000000014.jsonl.gz").unlink()
    shutil.copy(folder / "ledger.previous.json", folder / "ledger.json")
    ledger = in_folder(folder)
    await ledger.open()
    await ledger.commit(task_record(99), op="a.b")
    await ledger.close()
    assert any("missing" in each for each in read_state(folder).damage)


async def test_a_ledger_of_a_newer_format_is_left_alone(folder):
    ledger = in_folder(folder)
    await ledger.open()
    await write_some(ledger)
    await ledger.close()
    path = folder / "ledger.json"
    body = path.read_bytes().replace(b'"format":1', b'"format":2')[: -CRC_BYTES - 1]
    path.write_bytes(sealed(body))
    before = sorted(folder.iterdir())
    with pytest.raises(LedgerTooNew):
        await in_folder(folder).open()
    with pytest.raises(LedgerTooNew):
        read_state(folder)
    assert [each for each in sorted(folder.iterdir()) if each.name != "ledger.lock"] == [
        each for each in before if each.name != "ledger.lock"
    ]


async def test_verify_sees_changed_and_missing_outputs(folder, tmp_path):
    output = tmp_path / "a.png"
    output.write_bytes(b"picture")
    recorded = OutputFile(
        node="9",
        filename="a.png",
        subfolder="",
        type="output",
        path="a.png",
        sha256="8c5d1d2a" * 8,
        size_bytes=7,
    )
    ledger = in_folder(folder)
    await ledger.open()
    task = task_record()
    await ledger.commit(task, op="a.b")
    for stage in (Stage.SUBMITTING, Stage.RUNNING, Stage.COLLECTING, Stage.DONE):
        task = task.moved(stage, at=AT, outputs=(recorded,))
        await ledger.commit(task, op="a.b")
    await ledger.close()
    assert verify(folder) == []
    assert ["content" in each for each in verify(folder, outputs_root=tmp_path)] == [True]
    output.unlink()
    assert ["cannot be read" in each for each in verify(folder, outputs_root=tmp_path)] == [True]


@pytest.mark.parametrize(
    ("unlawful", "word"),
    [
        (task_record().changed(at=AT, stage=Stage.DONE, status=Status.DONE), "may not become"),
        (task_record(version=3), "does not follow"),
        (task_record().changed(at=AT, status=Status.DONE), "does not fit"),
        (task_record(2, row_id=task_record().row_id), "is open"),
        (task_record(2, version=2), "earlier versions"),
    ],
)
def test_verify_sees_what_no_writer_may_write(folder, unlawful, word):
    folder.mkdir()
    lines = encode(transaction_of(task_record(), op="a.b"), 1, AT)
    lines += encode(transaction_of(unlawful, op="a.b"), 2, AT)
    (folder / "journal-000000000001.jsonl").write_bytes(b"".join(lines))
    assert any(word in each for each in verify(folder))


async def stopped_cleanly(folder) -> list[bytes]:
    """A ledger whose ledger.json is complete; the lines of its only journal."""
    ledger = in_folder(folder)
    await ledger.open()
    await write_some(ledger)
    await ledger.close()
    assert verify(folder) == []
    return (folder / "journal-000000000001.jsonl").read_bytes().splitlines(keepends=True)


async def open_and_write(folder, number: int) -> None:
    ledger = in_folder(folder)
    await ledger.open()
    assert ledger.damage == ()
    await ledger.commit(task_record(number), op="a.b")
    await ledger.close()


#: How many lines of the journal are left, with how many bytes of the next; None: no file.
CUTS = [(0, 0), (5, 0), (12, 0), (12, 40), (2, 10), None]


def cut(folder, lines: list[bytes], left: tuple[int, int] | None) -> tuple[int, int]:
    """Cut the journal and return the first and last seq that it lost."""
    journal = folder / "journal-000000000001.jsonl"
    if left is None:
        journal.unlink()
        return (1, len(lines))
    whole, rest = left
    journal.write_bytes(b"".join([*lines[:whole], lines[whole][:rest]]))
    return ((whole if whole >= 5 else 0) + 1, len(lines))  # the first five are one transaction


@pytest.mark.parametrize("left", CUTS)
async def test_an_end_of_the_journal_that_only_the_snapshot_has_is_told_once_and_then_known(
    folder, left
):
    first, last = cut(folder, await stopped_cleanly(folder), left)
    before = read_state(folder)
    assert before.damage == []
    words = f"changes {first} to {last} are missing from the journal; the state they made is not"
    assert verify(folder) == [words]
    with capture_logs() as logs:
        await open_and_write(folder, 50)
        await open_and_write(folder, 51)
    told = [each for each in logs if each["event"] == "journal.history_lost"]
    assert [(each["first_seq"], each["last_seq"]) for each in told] == [(first, last)]
    assert verify(folder) == []
    state = read_state(folder)
    assert [each["history"] for each in state.meta["repairs"].values()] == [[[first, last]]]
    assert dict(state.tasks).items() >= dict(before.tasks).items()
    assert repair(folder, now=now).lost == []


@pytest.mark.parametrize("left", CUTS)
async def test_a_known_gap_in_the_history_is_damage_once_the_snapshots_are_gone_too(folder, left):
    cut(folder, await stopped_cleanly(folder), left)
    await open_and_write(folder, 50)
    (folder / "ledger.json").unlink()
    (folder / "ledger.previous.json").unlink()
    assert read_state(folder).damage
    assert repair(folder, now=now).lost
    assert read_state(folder).damage == []
    assert verify(folder) == []


async def test_a_command_without_a_daemon_records_the_lost_end_of_the_journal_too(folder):
    cut(folder, await stopped_cleanly(folder), (12, 0))
    with DirectLedger(folder) as ledger:
        assert ledger.meta("repairs") == {}
        ledger.commit(task_record(50), op="a.b", actor="cli")
        ledger.commit(task_record(51), op="a.b", actor="cli")
        assert len(ledger.meta("repairs")) == 1
    assert verify(folder) == []
    assert read_state(folder).last_seq == 16


@pytest.mark.parametrize("left", CUTS)
async def test_repair_records_an_end_of_the_journal_that_only_the_snapshot_has(folder, left):
    first, last = cut(folder, await stopped_cleanly(folder), left)
    tasks = dict(read_state(folder).tasks)
    assert repair(folder, now=now).lost == [
        f"changes {first} to {last} are missing from the journal; the state they made is not"
    ]
    assert verify(folder) == []
    assert dict(read_state(folder).tasks) == tasks
    assert repair(folder, now=now).lost == []
    await open_and_write(folder, 50)
    assert verify(folder) == []


async def test_repair_records_a_gap_in_the_history_behind_which_the_ledger_was_written(folder):
    lines = await stopped_cleanly(folder)
    await open_and_write(folder, 50)
    journal = folder / "journal-000000000001.jsonl"
    journal.write_bytes(journal.read_bytes().replace(b"".join(lines[11:]), b""))
    assert verify(folder) == ["changes 12 to 13 are missing"]
    result = repair(folder, now=now)
    assert [each[:36] for each in result.lost] == ["changes 12 to 13 are missing from th"]
    assert verify(folder) == []
    assert repair(folder, now=now).lost == []


async def test_repair_after_a_damaged_ledger_was_written_names_no_change_that_never_was(folder):
    await damaged(folder)
    lost = repair_of_a_copy(folder)
    for number in (50, 51):
        ledger = in_folder(folder)
        await ledger.open()
        assert ledger.damage
        assert ledger.last_seq == 13 + number - 50
        await ledger.commit(task_record(number), op="a.b")
        await ledger.close()
    assert repair(folder, now=now).lost == lost
    assert [each["lost"] for each in read_state(folder).meta["repairs"].values()] == [[[9, 9]]]
    assert verify(folder) == []


def repair_of_a_copy(folder) -> list[str]:
    copy = folder.with_name("copy")
    shutil.copytree(folder, copy)
    return repair(copy, now=now).lost


@pytest.mark.parametrize("spoil", ["flip", "cut", "beginning", "empty"])
async def test_a_damaged_snapshot_is_told_once(folder, spoil):
    ledger = in_folder(folder)
    await ledger.open()
    await write_some(ledger)
    await ledger.close()
    path = folder / "ledger.json"
    data = bytearray(path.read_bytes())
    if spoil == "flip":
        data[data.index(b'"tasks"') + 200] = 0xFF
    elif spoil == "beginning":
        data[5] ^= 1
    path.write_bytes(data[: {"cut": 900, "empty": 0}.get(spoil, len(data))])
    for journals in ("there", "gone"):
        told = [problem for problem in verify(folder) if path.name in problem]
        assert len(told) == 1
        assert told[0].count(path.name) == 1
        if journals == "there":
            (folder / "journal-000000000001.jsonl").unlink()


@pytest.mark.parametrize("mark", ["there", "missing"])
def test_after_a_repair_no_id_is_given_again_that_a_lost_change_gave(folder, mark):
    def new_id() -> str:
        with DirectLedger(folder, now=now) as direct:
            (task_id,) = direct.new_task_ids("图片合成", to_timestamp(now()))
            direct.commit(task_record(int(task_id[-6:]), task_id=task_id), op="a.b", actor="x")
            return task_id

    given = [new_id() for _ in range(3)]
    for path in folder.glob("ledger*.json"):  # but for the journal, all is gone
        path.unlink()
    (journal,) = folder.glob("journal-*")
    lines = journal.read_bytes().splitlines(keepends=True)
    assert len(lines) == len(given)
    with DirectLedger(folder, now=now) as direct:  # what is damaged is not the end
        direct.commit(Meta(section="servers", key="a", value={}), op="a.b", actor="x")
    (folder / "ledger.json").unlink()
    data = bytearray(journal.read_bytes())
    data[len(lines[0]) + 40] ^= 1
    data[len(lines[0]) + len(lines[1]) + 40] ^= 1
    journal.write_bytes(data)
    if mark == "missing":
        mark_path(folder).unlink()
    repair(folder, now=now)
    assert verify(folder) == []
    assert new_id() not in given
    assert int(new_id()[-6:]) > len(given)
