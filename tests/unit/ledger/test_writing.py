"""The store at work: one sync a group, snapshots, rotation, a disk that is full, the lock."""

import asyncio
import gzip
import os
import shutil
import signal
import subprocess
import sys
import threading
from datetime import UTC, datetime
from time import monotonic

import msgspec
import orjson
import pytest

from ledger.entry import transaction_of
from ledger.errors import LedgerClosed, LedgerLocked
from ledger.jsondir import compactor
from ledger.jsondir.check import verify
from ledger.jsondir.export import as_document
from ledger.jsondir.files import PIECE_BYTES, Disk
from ledger.jsondir.holder import read_holder
from ledger.jsondir.journal import encode
from ledger.jsondir.orders import Limits
from ledger.jsondir.reader import find_task, history, read_state
from ledger.jsondir.snapshot import read
from ledger.jsondir.store import JsonDirBackend
from ledger.ledger import Ledger
from ledger.status import OPEN_STAGES, Stage
from tests.fakes.disk import CountingDisk, FailingDisk
from tests.fakes.records import AT, batch_record, task_record
from tests.unit.ledger.conftest import in_folder, write_some

EAGER = Limits(snapshot_seconds=0, snapshot_share=1)


async def test_64_changes_at_once_cost_at_most_two_syncs(folder):
    disk = CountingDisk()
    ledger = in_folder(folder, disk)
    await ledger.open()
    before = disk.appends
    await asyncio.gather(*(ledger.commit(task_record(n), op="a.b") for n in range(1, 65)))
    assert disk.appends - before <= 2
    await ledger.close()


def test_a_transaction_that_lacks_the_json_of_a_record_has_no_lines():
    whole = transaction_of(task_record(1), task_record(2), op="a.b", actor="test")
    with pytest.raises(ValueError, match="shorter"):
        encode(msgspec.structs.replace(whole, encoded=whole.encoded[:1]), 1, AT)


async def test_64_committers_lose_nothing_and_leave_no_gap(folder):
    ledger = in_folder(folder, limits=EAGER)
    await ledger.open()

    async def work(number: int) -> None:
        task = task_record(number)
        await ledger.commit(task, op="a.b")
        for stage in (Stage.SUBMITTING, Stage.RUNNING, Stage.WAITING, Stage.SUBMITTING):
            task = task.moved(stage, at=AT)
            await ledger.commit(task, op="a.b")

    await asyncio.gather(*(work(number) for number in range(1, 65)))
    await ledger.close()
    assert verify(folder) == []
    assert {task.version for task in read_state(folder).tasks.values()} == {5}
    assert read_state(folder).last_seq == 64 * 5


async def test_a_journal_line_says_what_the_contract_says(folder):
    ledger = in_folder(folder)
    await ledger.open()
    await ledger.commit(batch_record(), task_record(), op="batch.accepted", actor="inbox")
    lines = [
        orjson.loads(line)
        for line in (folder / "journal-000000000001.jsonl").read_bytes().splitlines()
    ]
    await ledger.close()
    first, last = lines
    assert list(first) == ["seq", "at", "actor", "op", "tx", "batch", "reason", "evidence", "crc"]
    assert list(last) == [
        "seq", "at", "actor", "op", "tx", "n", "task", "reason", "evidence", "crc",
    ]  # fmt: skip
    assert (first["seq"], last["seq"], last["tx"], last["n"]) == (1, 2, 1, 2)
    assert (first["actor"], first["op"]) == ("inbox", "batch.accepted")
    assert last["task"]["stage"] == "waiting"


async def test_the_snapshot_follows_a_change_soon_and_the_one_before_is_kept(folder):
    ledger = in_folder(folder, limits=EAGER)
    await ledger.open()
    await ledger.commit(batch_record(), task_record(1), op="a.b")
    await until(lambda: snapshot_seq(folder) == 2)
    await ledger.commit(task_record(2), op="a.b")
    await until(lambda: snapshot_seq(folder) == 3)
    assert orjson.loads((folder / "ledger.previous.json").read_bytes())["last_seq"] == 2
    await ledger.close()


async def test_after_a_clean_stop_the_snapshot_holds_everything(folder):
    ledger = in_folder(folder)
    await ledger.open()
    await write_some(ledger)
    await ledger.close()
    document = orjson.loads((folder / "ledger.json").read_bytes())
    assert list(document) == [
        "format", "written_at", "last_seq", "tasks", "batches", "meta", "crc",
    ]  # fmt: skip
    assert document["last_seq"] == 13
    assert set(document["meta"]) == {"servers", "drops", "idempotency", "counters"}
    assert document["tasks"]["img_20261121_000001"]["stage"] == "running"


async def test_a_long_journal_is_closed_gzipped_and_indexed(folder):
    ledger = in_folder(
        folder,
        limits=Limits(
            journal_bytes=5000, unfolded_bytes=5000, snapshot_seconds=3600, quiet_seconds=0
        ),
    )
    await ledger.open()
    await write_some(ledger)
    await until(lambda: list((folder / "archive").glob("*.gz")))
    await ledger.close()
    archived = folder / "archive" / "journal-000000000001.jsonl.gz"
    index = orjson.loads((archived.with_name("journal-000000000001.jsonl.index.json")).read_bytes())
    lines = gzip.decompress(archived.read_bytes()).splitlines()
    for number in index["tasks"]["img_20261121_000001"]:
        assert orjson.loads(lines[number - 1])["task"]["task_id"] == "img_20261121_000001"
    assert [line.seq for line in history(folder, "img_20261121_000001")] == [2, 6, 7]
    assert verify(folder) == []


async def test_long_journals_press_for_a_snapshot_once_in_a_while_at_most(folder):
    limits = Limits(
        journal_bytes=2000,
        unfolded_bytes=2000,
        snapshot_seconds=3600,
        pressed_seconds=3600,
        quiet_seconds=0,
    )
    ledger = in_folder(folder, limits=limits)
    await ledger.open()
    await ledger.commit(*map(task_record, range(1, 6)), op="a.b")
    archive, writer = folder / "archive", ledger._backend._writer
    await until(lambda: list(archive.glob("*.gz")) and not writer._folding.under_way)
    written = snapshot_seq(folder)
    for number in range(6, 20):
        await ledger.commit(task_record(number), op="a.b")
    assert snapshot_seq(folder) == written
    assert len(list(folder.glob("journal-*.jsonl"))) > 2
    await ledger.close()
    assert (verify(folder), snapshot_seq(folder)) == ([], 19)


async def test_a_snapshot_pressed_for_comes_also_when_nobody_changes_anything_any_more(folder):
    limits = Limits(unfolded_bytes=2000, snapshot_seconds=3600, pressed_seconds=0.5)
    ledger = in_folder(folder, limits=limits)
    await ledger.open()
    await ledger.commit(*map(task_record, range(1, 6)), op="a.b")
    await until(lambda: snapshot_seq(folder) == 5)
    await ledger.commit(*map(task_record, range(6, 11)), op="a.b")
    await until(lambda: snapshot_seq(folder) > 5)
    assert snapshot_seq(folder) == 10
    await ledger.close()


async def test_the_snapshot_after_very_much_in_one_go_waits_for_a_while(folder):
    limits = Limits(unfolded_bytes=2000, stroke_bytes=8000, after_stroke_seconds=0.8)
    ledger = in_folder(folder, limits=limits)
    await ledger.open()
    began = monotonic()
    await ledger.commit(*map(task_record, range(1, 12)), op="a.b")
    await ledger.commit(task_record(12), op="a.b")  # what comes meanwhile waits with it
    await until(lambda: snapshot_seq(folder) > 0)
    assert monotonic() - began > limits.after_stroke_seconds
    assert snapshot_seq(folder) == 12
    await ledger.close()


async def test_much_in_one_go_again_and_again_keeps_no_snapshot_away(folder):
    limits = Limits(unfolded_bytes=2000, stroke_bytes=8000, after_stroke_seconds=0.5)
    ledger = in_folder(folder, limits=limits)
    await ledger.open()
    until_seconds = monotonic() + 5
    while snapshot_seq(folder) == 0 and monotonic() < until_seconds:
        numbers = range(ledger.last_seq + 1, ledger.last_seq + 12)
        await ledger.commit(*map(task_record, numbers), op="a.b")
        await asyncio.sleep(0.02)
    assert snapshot_seq(folder) > 0
    await ledger.close()


async def test_much_in_one_go_while_a_snapshot_is_made_puts_off_the_next_one(folder):
    limits = Limits(
        unfolded_bytes=2000, pressed_seconds=0, stroke_bytes=8000, after_stroke_seconds=0.8
    )
    writing, go_on = threading.Event(), threading.Event()

    def reached(point: str) -> None:
        if point == "snapshot.before_write":
            writing.set()
            go_on.wait(10)

    ledger = in_folder(folder, Disk(reached), limits=limits)
    await ledger.open()
    await ledger.commit(*map(task_record, range(1, 6)), op="a.b")
    await until(writing.is_set)
    began = monotonic()
    await ledger.commit(*map(task_record, range(6, 17)), op="a.b")
    go_on.set()
    await until(lambda: snapshot_seq(folder) == 16)
    assert monotonic() - began > limits.after_stroke_seconds
    await ledger.close()


async def test_who_asks_for_a_compaction_after_very_much_in_one_go_does_not_wait(folder):
    limits = Limits(unfolded_bytes=2000, stroke_bytes=8000, after_stroke_seconds=3600)
    ledger = in_folder(folder, limits=limits)
    await ledger.open()
    await ledger.commit(*map(task_record, range(1, 12)), op="a.b")
    await ledger.compact()
    assert snapshot_seq(folder) == 11
    await ledger.commit(*map(task_record, range(12, 23)), op="a.b")
    await ledger.close()
    assert (verify(folder), snapshot_seq(folder)) == ([], 22)


async def test_changes_press_for_a_snapshot_by_what_of_them_waits_in_memory(folder):
    limits = Limits(
        journal_bytes=20_000, unfolded_bytes=3000, snapshot_seconds=3600, pressed_seconds=0
    )
    ledger = in_folder(folder, limits=limits)
    await ledger.open()
    await ledger.commit(task_record(), op="a.b")

    async def change_again_until(journals_bytes: int) -> None:
        while sum(each.stat().st_size for each in folder.glob("journal-*")) < journals_bytes:
            newest = ledger.task(task_record().task_id)
            await ledger.commit(newest.changed(at=AT), op="a.b")

    await change_again_until(15_000)  # of one task: only its newest version waits
    unpressed = not (folder / "ledger.json").exists()
    await change_again_until(21_000)  # by now the next start would have much to read
    await until(lambda: snapshot_seq(folder) > 0)
    written = ledger.last_seq
    for number in range(2, 9):  # of many tasks: all of them wait
        await ledger.commit(task_record(number), op="a.b")
    await until(lambda: snapshot_seq(folder) > written)
    assert unpressed
    await ledger.close()


async def test_closed_journals_wait_for_a_quiet_moment_unless_too_many_do(folder):
    limits = Limits(
        journal_bytes=2000,
        unfolded_bytes=2000,
        quiet_seconds=3600,
        waiting_journals=4,
        snapshot_seconds=0.05,
        snapshot_share=1,  # else a slow disk makes the next one wait fifty times as long
    )
    ledger = in_folder(folder, limits=limits)
    await ledger.open()
    for number in range(1, 4):  # each more than a journal holds
        await ledger.commit(*(task_record(number * 10 + each) for each in range(5)), op="a.b")
        await until(lambda: snapshot_seq(folder) == ledger.last_seq)
    assert len(list(folder.glob("journal-*.jsonl"))) == 4
    assert not list(folder.glob("archive/*"))
    await ledger.commit(*map(task_record, range(1, 6)), op="a.b")
    await until(lambda: len(list(folder.glob("journal-*.jsonl"))) == 1)
    assert len(list(folder.glob("archive/*.gz"))) == 4
    await ledger.close()
    assert verify(folder) == []


async def test_journals_that_wait_are_packed_once_it_is_quiet(folder):
    limits = Limits(
        journal_bytes=2000,
        unfolded_bytes=2000,
        snapshot_seconds=0.01,
        snapshot_share=1,
        quiet_seconds=0.5,
    )
    ledger = in_folder(folder, limits=limits)
    await ledger.open()
    await ledger.commit(*map(task_record, range(1, 6)), op="a.b")
    await until(lambda: snapshot_seq(folder) == ledger.last_seq)
    waited = not list(folder.glob("archive/*"))
    await until(lambda: len(list(folder.glob("journal-*.jsonl"))) == 1)
    assert waited
    await ledger.close()


async def test_an_index_is_the_same_whether_the_lines_were_noted_or_are_read_again(folder):
    ledger = in_folder(folder)
    await ledger.open()
    await write_some(ledger)
    journal = ledger._backend._writer._journal
    noted = compactor.index_of(journal.place, journal.told)
    assert noted == compactor.index_of(journal.place, None)
    assert noted.tasks["img_20261121_000001"] == [2, 6, 7]
    await ledger.close()


async def test_a_journal_that_was_there_before_is_read_to_be_indexed(folder):
    ledger = in_folder(folder)
    for number in (1, 2):
        await ledger.open()
        await ledger.commit(task_record(number), op="a.b")
        await ledger.close()
    await ledger.open()
    assert ledger._backend._writer._journal.told is None
    await ledger.compact()
    await ledger.close()
    for seq in (1, 2):
        found = history(folder, task_record(seq).task_id)
        assert [line.seq for line in found] == [seq]
    assert verify(folder) == []


async def test_history_older_than_it_is_kept_goes(folder):
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    ledger = Ledger(JsonDirBackend(folder, now=lambda: moment, history_days=365))
    await ledger.open()
    await write_some(ledger)
    await ledger.compact()
    assert await ledger.forget_history(datetime(2026, 12, 31, tzinfo=UTC)) == 0
    assert await ledger.forget_history(datetime(2027, 1, 2, tzinfo=UTC)) == 1
    assert not list((folder / "archive").iterdir())
    await ledger.close()
    assert verify(folder) == []
    assert len(read_state(folder).tasks) == 4


def test_no_piece_of_a_snapshot_is_larger_than_half_a_mebibyte(tmp_path):
    sizes = []

    class Measuring(Disk):
        def write(self, fd: int, data: bytes) -> None:
            sizes.append(len(data))
            super().write(fd, data)

    content = [b"x" * 1000] * 2000 + [b"y" * (3 * PIECE_BYTES)]
    Measuring().write_whole("snapshot", tmp_path / "a", content)
    assert max(sizes) <= PIECE_BYTES
    assert (tmp_path / "a.tmp").read_bytes() == b"".join(content)


@pytest.mark.parametrize("fault", ["full", "sync_fails"])
async def test_a_snapshot_that_failed_takes_no_room(folder, fault):
    disk = FailingDisk()
    ledger = in_folder(folder, disk)
    await ledger.open()
    await write_some(ledger)
    setattr(disk, fault, True)
    with pytest.raises(OSError, match="No space" if fault == "full" else "Input/output"):
        await ledger.compact()
    assert list(folder.glob("*.tmp")) == []
    await ledger.close()


@pytest.mark.parametrize("fault", ["full", "sync_fails"])
async def test_a_failed_write_ends_writing_until_reopened(folder, fault):
    disk = FailingDisk()
    ledger = in_folder(folder, disk)
    await ledger.open()
    task = task_record(1)
    await ledger.commit(task, op="a.b")
    setattr(disk, fault, True)
    outcomes = await asyncio.gather(
        *(ledger.commit(task_record(n), op="a.b") for n in (2, 3)), return_exceptions=True
    )
    assert [type(each) for each in outcomes] == [LedgerClosed, LedgerClosed]
    assert not ledger.writable
    with pytest.raises(LedgerClosed):
        await ledger.commit(task.changed(at=AT), op="a.b")
    with pytest.raises(LedgerClosed):
        await ledger.reopen()
    setattr(disk, fault, False)
    await ledger.reopen()
    assert ledger.writable
    await ledger.commit(task.changed(at=AT, priority=3), task_record(3), op="a.b")
    await ledger.close()
    assert verify(folder) == []
    tasks = read_state(folder).tasks
    assert (set(tasks), tasks[task.task_id].priority) == ({task.task_id, task_record(3).task_id}, 3)


async def test_what_was_refused_is_absent_even_when_it_could_not_be_cut_off_at_once(folder):
    disk = FailingDisk()
    ledger = in_folder(folder, disk)
    await ledger.open()
    await ledger.commit(task_record(1), op="a.b")
    disk.sync_fails = disk.cutting_fails = True
    with pytest.raises(LedgerClosed):
        await ledger.commit(task_record(2), op="a.b")
    disk.sync_fails = False
    with pytest.raises(LedgerClosed):
        await ledger.reopen()
    disk.cutting_fails = False
    await ledger.reopen()
    await ledger.close()
    assert set(read_state(folder).tasks) == {task_record(1).task_id}


async def test_a_full_disk_fails_a_snapshot_but_no_commit_of_what_still_fits(folder):
    class NoRoomForSnapshots(Disk):
        full = True

        def write_whole(self, what, path, pieces):
            if self.full and what == "snapshot":
                raise OSError(28, "No space left on device")
            super().write_whole(what, path, pieces)

    disk = NoRoomForSnapshots()
    ledger = in_folder(folder, disk, EAGER)
    await ledger.open()
    await write_some(ledger)
    with pytest.raises(OSError, match="No space"):
        await ledger.compact()
    assert ledger.writable
    disk.full = False
    await ledger.compact()
    await ledger.close()
    assert verify(folder) == []
    assert snapshot_seq(folder) == 13


HOLDER = """
import asyncio, sys
from pathlib import Path
from ledger.jsondir.store import JsonDirBackend
async def hold():
    backend = JsonDirBackend(Path(sys.argv[1]))
    await backend.open(lambda *_: None, lambda *_: None)
    print("held", flush=True)
    await asyncio.sleep(60)
asyncio.run(hold())
"""


async def test_the_lock_names_its_holder_and_dies_with_it(folder):
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(folder)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(LedgerLocked, match=f"process {holder.pid} on "):
            await in_folder(folder).open()
        assert read_state(folder).last_seq == 0
    finally:
        os.kill(holder.pid, signal.SIGKILL)
        holder.wait()
        holder.stdout.close()
    ledger = in_folder(folder)
    await ledger.open()
    with pytest.raises(LedgerLocked, match=f"process {os.getpid()} on "):
        await in_folder(folder).open()
    await ledger.close()
    assert not (folder / "ledger.holder.json").exists()


async def test_a_killed_holder_is_not_believed_even_before_its_parent_takes_note(folder):
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(folder)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert holder.stdout.readline() == "held\n"
        assert read_holder(folder).pid == holder.pid
        os.kill(holder.pid, signal.SIGKILL)
        os.waitid(os.P_PID, holder.pid, os.WEXITED | os.WNOWAIT)  # ended, but not taken note of
        assert (folder / "ledger.holder.json").exists()
        assert read_holder(folder) is None
    finally:
        holder.kill()
        holder.wait()
        holder.stdout.close()


async def test_a_lock_file_that_somebody_removed_lets_nobody_in_while_its_holder_lives(
    folder, tmp_path
):
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(folder)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert holder.stdout.readline() == "held\n"
        (folder / "ledger.lock").unlink()
        with pytest.raises(LedgerLocked, match=f"process {holder.pid}"):
            await in_folder(folder).open()
        assert read_holder(folder).pid == holder.pid  # and is not taken for dead by others
        copied = in_folder(shutil.copytree(folder, tmp_path / "copy"))
        await copied.open()  # nobody writes there
        await copied.close()
    finally:
        holder.kill()
        holder.wait()
        holder.stdout.close()
    ledger = in_folder(folder)
    await ledger.open()
    await ledger.close()


async def test_export_writes_what_opens_again(folder):
    ledger = in_folder(folder)
    await ledger.open()
    await write_some(ledger)
    ended = ledger.task("img_20261121_000001").moved(Stage.FAILED, at=AT)
    await ledger.commit(ended, op="a.b")
    await ledger.archive_finished(datetime(2027, 1, 1, tzinfo=UTC))
    await ledger.close()
    state = read(b"".join(as_document(folder, AT)))
    assert dict(state.tasks) == dict(read_state(folder).tasks)
    assert find_task(folder, ended.task_id) == ended


async def test_questions_are_answered_from_memory(folder):
    ledger = in_folder(folder)
    await ledger.open()
    low, high, next_ = task_record(1), task_record(2, priority=5), task_record(3)
    await ledger.commit(batch_record(), low, high, next_, op="a.b")
    batch, kind = low.batch_id, low.workflow_type
    assert list(ledger.waiting(batch, kind)) == [high, low, next_]
    seen = ledger.waiting(batch, kind)
    assert next(seen) == high
    await ledger.commit(low.moved(Stage.SUBMITTING, at=AT, server="gpu-a"), op="a.b")
    assert list(seen) == [next_]
    sent = ledger.task(low.task_id)
    assert ledger.in_stage(Stage.SUBMITTING, server="gpu-a") == [sent]
    assert ledger.in_stage(Stage.SUBMITTING, server="gpu-b") == []
    assert ledger.in_stage(*OPEN_STAGES) == [sent, high, next_]
    await ledger.commit(sent.moved(Stage.WAITING, at=AT, server=None), op="a.b")
    assert [each.task_id for each in ledger.waiting(batch, kind)][1] == low.task_id
    await ledger.commit(high.moved(Stage.CANCELLED, at=AT), op="a.b")
    assert ledger.counts(batch)[Stage.CANCELLED] == 1
    assert ledger.index.family_counts(batch)[kind][Stage.CANCELLED] == 1
    retry = task_record(4, row_id=high.row_id)
    await ledger.commit(retry, op="a.b")
    assert ledger.index.family_counts(batch)[kind][Stage.CANCELLED] == 0
    assert ledger.newest_of_family(*high.family) == retry
    assert ledger.newest_done_of_family(*high.family) is None
    assert ledger.waiting_types(batch) == [kind]
    with pytest.raises(ValueError, match="open stages"):
        ledger.in_stage(Stage.DONE)
    await ledger.close()


async def until(condition) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.002)


def snapshot_seq(folder) -> int:
    try:
        return int(orjson.loads((folder / "ledger.json").read_bytes())["last_seq"])
    except FileNotFoundError:
        return 0
