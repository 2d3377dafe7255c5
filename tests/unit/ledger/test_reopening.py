"""What goes wrong under those who commit: nobody waits for ever, and nothing false is told."""

import asyncio
import threading
import time
from datetime import UTC, datetime

import pytest

from ledger import applying, slices
from ledger.errors import Conflict, LedgerClosed, LedgerDamaged
from ledger.jsondir.check import verify
from ledger.jsondir.files import Disk
from ledger.jsondir.orders import Limits
from ledger.jsondir.reader import read_state
from ledger.jsondir.snapshot import Changes
from ledger.ledger import Ledger
from ledger.memory import MemoryBackend
from ledger.status import Stage
from tests.fakes.disk import FailingDisk
from tests.fakes.records import AT, batch_record, task_record
from tests.unit.ledger.conftest import in_folder


class SlowlyFailing(FailingDisk):
    """Full once it is told so, and then only when it may go on."""

    def __init__(self) -> None:
        super().__init__()
        self.may_go_on = threading.Event()

    def write(self, fd: int, data: bytes) -> None:
        if self.full:
            self.may_go_on.wait(20)
        super().write(fd, data)


async def test_a_change_that_follows_from_a_refused_one_is_refused_even_while_reopening(folder):
    disk = SlowlyFailing()
    ledger = in_folder(folder, disk)
    await ledger.open()
    first = task_record()
    await ledger.commit(first, op="a.b")
    disk.full = True
    second = first.changed(at=AT, priority=2)
    refused = asyncio.ensure_future(ledger.commit(second, op="a.b"))
    while not disk.may_go_on.is_set():  # one round: it is with the writer then
        await asyncio.sleep(0.01)
        late = asyncio.ensure_future(ledger.commit(second.changed(at=AT, priority=3), op="a.b"))
        disk.may_go_on.set()
        time.sleep(0.2)  # the refusal is told after the late one began ...
    disk.full = False
    again = asyncio.ensure_future(ledger.reopen())  # ... and before the late one is handed over
    outcomes = await asyncio.gather(refused, late, again, return_exceptions=True)
    assert [type(each) for each in outcomes] == [LedgerClosed, LedgerClosed, type(None)]
    assert ledger.task(first.task_id) == first
    await ledger.commit(second, op="a.b")
    await ledger.close()
    assert verify(folder) == []


async def test_of_two_who_reopen_at_once_the_second_forgets_nothing_of_what_the_first_began():
    ledger = Ledger(backend := MemoryBackend())
    await ledger.open()
    await ledger.commit(task_record(), op="a.b")
    second = task_record().changed(at=AT, priority=2)
    backend.fail(OSError("full"))
    with pytest.raises(LedgerClosed):
        await ledger.commit(second, op="a.b")

    async def reopen_and_change() -> None:
        await ledger.reopen()
        await ledger.commit(second, op="a.b")

    outcomes = await asyncio.gather(
        reopen_and_change(), reopen_and_change(), return_exceptions=True
    )
    assert [type(each) for each in outcomes] == [type(None), Conflict]


async def test_those_who_waited_for_a_large_check_while_writing_failed_are_checked_in_turn(
    monkeypatch,
):
    monkeypatch.setattr(slices, "SLICE_SECONDS", -1)  # the loop has a turn after each record
    ledger = Ledger(backend := MemoryBackend())
    await ledger.open()
    tasks = [task_record(number) for number in range(1, 201)]
    await ledger.commit(*tasks, op="a.b")
    backend.fail(OSError("full"))
    failing = asyncio.ensure_future(ledger.commit(batch_record(), op="a.b"))
    await asyncio.sleep(0)
    changed = [task.changed(at=AT) for task in tasks]
    large = [asyncio.ensure_future(ledger.commit(*changed, op="a.b")) for _ in range(2)]
    await asyncio.wait([failing])
    await ledger.reopen()
    await asyncio.wait([large[0]])  # checked before the failure
    await asyncio.sleep(0)
    small = asyncio.ensure_future(ledger.commit(tasks[0].changed(at=AT, priority=9), op="a.b"))
    outcomes = await asyncio.gather(failing, *large, small, return_exceptions=True)
    assert [type(each) for each in outcomes] == [LedgerClosed, LedgerClosed, type(None), Conflict]


async def test_what_is_durable_behind_a_large_transaction_is_shown_in_order_when_others_are_refused(
    monkeypatch,
):
    monkeypatch.setattr(applying, "SLICE", 4)
    monkeypatch.setattr(applying, "SLICE_SECONDS", -1)
    ledger = Ledger(backend := MemoryBackend())
    await ledger.open()
    heard: list[str] = []
    ledger.subscribe(lambda change: heard.append(change.op))
    large = asyncio.ensure_future(ledger.commit(*map(task_record, range(1, 10)), op="large"))
    small = [
        asyncio.ensure_future(ledger.commit(task_record(number), op=f"small_{number}"))
        for number in (11, 12, 13)
    ]
    loop = asyncio.get_running_loop()
    loop.call_soon(loop.call_soon, backend.fail, OSError("full"))  # once those before are durable
    late = asyncio.ensure_future(ledger.commit(task_record(14), op="late"))
    outcomes = await asyncio.gather(large, *small, late, return_exceptions=True)
    assert [type(each) for each in outcomes] == [type(None)] * 4 + [LedgerClosed]
    assert heard == ["large", "small_11", "small_12", "small_13"]


async def test_what_is_durable_and_not_yet_shown_is_known_to_those_who_commit_after_a_reopening(
    monkeypatch,
):
    monkeypatch.setattr(applying, "SLICE", 4)
    monkeypatch.setattr(applying, "SLICE_SECONDS", -1)  # the loop has a turn after each record
    ledger = Ledger(backend := MemoryBackend())
    await ledger.open()
    tasks = [task_record(number) for number in range(1, 201)]
    large = asyncio.ensure_future(ledger.commit(*tasks, op="large"))
    while ledger.index.find_task(tasks[0].task_id) is None:
        await asyncio.sleep(0)
    backend.fail(OSError("full"))
    with pytest.raises(LedgerClosed):
        await ledger.commit(batch_record(), op="a.b")
    assert ledger.index.find_task(tasks[-1].task_id) is None
    await ledger.reopen()
    await ledger.commit(tasks[-1].changed(at=AT), op="a.b")
    with pytest.raises(Conflict):
        await ledger.commit(tasks[-2], op="a.b")
    await large


async def test_what_is_durable_is_told_so_when_the_writer_cannot_note_it_and_writing_ends(folder):
    class NoRoom(Changes):
        def take(self, transactions):
            raise MemoryError

    ledger = in_folder(folder)
    await ledger.open()
    await ledger.commit(task_record(1), op="a.b")
    ledger._backend._writer._folding._changes = NoRoom()
    async with asyncio.timeout(20):
        await asyncio.gather(*(ledger.commit(task_record(n), op="a.b") for n in (2, 3)))
        with pytest.raises(LedgerClosed, match="next start"):
            await ledger.commit(task_record(4), op="a.b")
        with pytest.raises(LedgerClosed, match="next start"):
            await ledger.compact()
        with pytest.raises(MemoryError):
            await ledger.reopen()
        await ledger.close()
    assert set(read_state(folder).tasks) == {task_record(n).task_id for n in (1, 2, 3)}
    await ledger.open()
    await ledger.commit(task_record(4), op="a.b")
    await ledger.close()
    assert verify(folder) == []


async def test_a_thread_that_cannot_be_begun_ends_writing_and_loses_nothing(folder, monkeypatch):
    begin = threading.Thread.start

    def start(thread: threading.Thread) -> None:
        if thread.name.startswith("ledger-compactor"):
            raise RuntimeError("can't start new thread")
        begin(thread)

    monkeypatch.setattr(threading.Thread, "start", start)
    ledger = in_folder(folder, limits=Limits(snapshot_seconds=0))
    await ledger.open()
    async with asyncio.timeout(20):
        await ledger.commit(task_record(1), op="a.b")
        with pytest.raises(LedgerClosed, match="next start"):
            await ledger.commit(task_record(2), op="a.b")
        with pytest.raises(RuntimeError, match="new thread"):
            await ledger.reopen()
        await ledger.close()
    assert set(read_state(folder).tasks) == {task_record(1).task_id}
    assert verify(folder) == []


async def test_a_change_that_cannot_be_shown_fails_its_committer_and_holds_nobody_up(folder):
    class WrittenOver(Disk):
        def append_whole(self, what, path, data):
            super().append_whole(what, path, data)
            if what == "finished_index":
                for file_path in (folder / "ledger.json", *folder.glob("journal-*.jsonl")):
                    with file_path.open("r+b") as file:
                        file.write(b" " * 5000)

    ledger = in_folder(folder, WrittenOver())
    await ledger.open()
    tasks = [task_record(1), task_record(2)]
    await ledger.commit(batch_record(), *tasks, op="a.b")
    await ledger.commit(*(task.moved(Stage.FAILED, at=AT) for task in tasks), op="a.b")
    await ledger.close()
    await ledger.open()
    async with asyncio.timeout(20):
        with pytest.raises(LedgerDamaged):
            await ledger.archive_finished(datetime(2027, 1, 15, tzinfo=UTC))
        await ledger.commit(task_record(3), op="a.b")
        await ledger.close()
    assert {task_record(3).task_id} <= set(read_state(folder).tasks)
