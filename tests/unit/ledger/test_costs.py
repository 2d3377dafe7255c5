"""What a change and a task may cost, by counting instead of by the clock."""

import asyncio
import gc
import os
import threading
import tracemalloc
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path

import msgspec
import pytest

from ledger.batch import Batch, BatchStatus
from ledger.errors import LedgerDamaged
from ledger.fingerprints import Fingerprints
from ledger.jsondir.files import Disk
from ledger.jsondir.placed_file import PlacedFile, Spot
from ledger.jsondir.places import Places
from ledger.jsondir.reader import read_state
from ledger.jsondir.spots import Spots
from ledger.ledger import Ledger
from ledger.shelf import Shelf, decode_keys, encode_task
from ledger.status import Stage
from ledger.stored import StoredRecords
from ledger.task import Task
from tests.bench.ledger_records import (
    BATCH,
    collecting_task,
    finished_task,
    waiting_task,
    write_ledger,
)
from tests.fakes.records import AT, batch_record
from tests.fakes.waiting import until
from tests.unit.ledger.conftest import in_folder

WRITERS, ROUNDS = 64, 5


class CountingDisk(Disk):
    """Counts what is written; may hold a sync back."""

    def __init__(self) -> None:
        super().__init__()
        self.written_bytes = 0
        self.syncs = 0
        self.syncing = threading.Event()
        self.may_sync = threading.Event()
        self.may_sync.set()

    def write(self, fd: int, data: bytes) -> None:
        super().write(fd, data)
        self.written_bytes += len(data)

    def sync(self, fd: int) -> None:
        self.syncing.set()
        assert self.may_sync.wait(20)
        super().sync(fd)
        self.syncs += 1


async def ledger_with(folder: Path, disk: Disk, tasks: int) -> Ledger:
    write_ledger(folder, tasks, collecting_tasks=tasks)
    ledger = in_folder(folder, disk)
    await ledger.open()
    return ledger


async def test_64_updates_at_once_cost_two_syncs_at_most_and_few_bytes_beside_the_records(folder):
    disk = CountingDisk()
    ledger = await ledger_with(folder, disk, WRITERS)
    tasks = [collecting_task(number) for number in range(1, WRITERS + 1)]
    before, record_bytes = (disk.syncs, disk.written_bytes), 0
    for _ in range(ROUNDS):
        tasks = [task.changed(at=AT) for task in tasks]
        record_bytes += sum(len(encode_task(task)) for task in tasks)
        await asyncio.gather(*(ledger.commit(task, op="task.published") for task in tasks))
    assert disk.syncs - before[0] <= 2 * ROUNDS
    assert disk.written_bytes - before[1] <= 1.3 * record_bytes
    await ledger.close()


async def test_nothing_is_acknowledged_or_seen_before_its_sync_has_returned(folder):
    disk = CountingDisk()
    ledger = await ledger_with(folder, disk, WRITERS)
    heard = []
    ledger.subscribe(lambda transaction: heard.append(transaction.op))
    disk.may_sync.clear()
    disk.syncing.clear()
    changed = [collecting_task(number).changed(at=AT) for number in range(1, WRITERS + 1)]
    commits = [asyncio.ensure_future(ledger.commit(task, op="a.b")) for task in changed]
    assert await asyncio.to_thread(disk.syncing.wait, 20)
    await asyncio.sleep(0.05)
    assert not any(commit.done() for commit in commits)
    assert (heard, {task.version for task in ledger.tasks()}) == ([], {2})
    disk.may_sync.set()
    await asyncio.gather(*commits)
    assert (len(heard), {task.version for task in ledger.tasks()}) == (WRITERS, {3})
    await ledger.close()


async def test_a_resident_task_is_two_objects_to_the_garbage_collector_at_most(folder):
    count = 2_000
    write_ledger(folder, 2 * count, waiting_tasks=count)
    gc.collect()
    before = len(gc.get_objects())
    ledger = in_folder(folder)
    await ledger.open()
    gc.collect()
    assert (len(gc.get_objects()) - before) / (2 * count) <= 2.2
    await ledger.close()


async def test_a_finished_task_costs_less_than_400_bytes_of_memory(folder):
    count = 5_000
    write_ledger(folder, count)
    tracemalloc.start()
    try:
        ledger = in_folder(folder)
        await ledger.open()
        gc.collect()
        held_bytes, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held_bytes / count < 400
    assert ledger.task(finished_task(7).task_id) == finished_task(7)
    await ledger.close()


async def test_a_waiting_row_with_a_batch_of_its_own_costs_less_than_1500_bytes_of_memory(folder):
    count = 4_096
    ledger = in_folder(folder)
    await ledger.open()
    tracemalloc.start()
    try:
        for first in range(0, count, 64):
            rows = map(_alone, range(first, first + 64))
            await asyncio.gather(*(ledger.commit(*row, op="batch.accepted") for row in rows))
        await ledger.compact()
        await until(lambda: not ledger.index._state.tasks._here)
        gc.collect()
        held_bytes, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held_bytes / count < 1500
    assert list(ledger.waiting("spring-000007", waiting_task(7).workflow_type)) == [_alone(7)[1]]
    await ledger.close()


def _alone(number: int) -> tuple[Batch, Task]:
    batch = batch_record(f"spring-{number:06}")
    task = waiting_task(number)
    row_id = f"{batch.batch_id}:1"
    return batch, msgspec.structs.replace(task, batch_id=batch.batch_id, row_id=row_id)


async def test_a_batch_costs_its_id_and_a_place_in_the_snapshot(folder):
    count = 8_192
    tracemalloc.start()
    try:
        ledger = in_folder(folder)
        await ledger.open()
        for first in range(0, count, 512):
            numbers = range(first, first + 512)
            await ledger.commit(*(batch_record(f"spring-{n:06}") for n in numbers), op="a.b")
        await ledger.compact()
        await until(lambda: not ledger.index._batches._here)
        held_after_snapshot = _held_bytes()
        await ledger.close()
        del ledger
        before = _held_bytes()
        ledger = in_folder(folder)
        await ledger.open()
        held_after_start = _held_bytes() - before
    finally:
        tracemalloc.stop()
    most_bytes = 160  # 62 of them the id, 40 the place, the rest tables
    assert held_after_snapshot / count < most_bytes
    assert held_after_start / count < most_bytes
    assert ledger.batch("spring-000007") == batch_record("spring-000007")
    await ledger.close()


def _held_bytes() -> int:
    gc.collect()
    return tracemalloc.get_traced_memory()[0]


async def test_an_archived_row_costs_nothing_and_its_batch_nothing_but_a_place(folder):
    count = 2_000
    batches = [batch_record(f"spring-{number:06}") for number in range(count)]
    tracemalloc.start()
    try:
        ledger = in_folder(folder)
        await ledger.open()
        await ledger.commit(*batches, op="batch.accepted")
        await ledger.compact()
        gc.collect()
        before, _ = tracemalloc.get_traced_memory()
        tasks = [
            msgspec.structs.replace(waiting_task(number), batch_id=batches[number].batch_id)
            for number in range(count)
        ]
        await ledger.commit(*tasks, op="task.accepted")
        ended = (task.moved(Stage.CANCELLED, at=AT) for task in tasks)
        await ledger.commit(*ended, op="task.cancelled")
        assert await ledger.archive_finished(datetime(2027, 6, 1, tzinfo=UTC)) == count
        del tasks, ended
        await ledger.compact()
        gc.collect()
        held_bytes = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert held_bytes / count < 400  # most of it tables that shrink when they next grow
    await ledger.close()


async def test_a_task_that_ends_leaves_the_memory_with_the_next_snapshot(folder):
    ledger = await ledger_with(folder, Disk(), 3)
    ended = [collecting_task(n).moved(Stage.DONE, at=AT, error_message="x" * n) for n in (1, 2)]
    await ledger.commit(*ended, op="task.done")
    await ledger.compact()
    later = ended[1].changed(at=AT, retry_count=1)
    await ledger.commit(later, op="task.retried")
    (folder / "ledger.json").rename(folder / "elsewhere")  # it is read by its descriptor
    assert [*ledger.tasks()] == [ended[0], later, collecting_task(3)]
    assert ledger.index._state.tasks._here.keys() == {later.task_id, collecting_task(3).task_id}
    (folder / "elsewhere").rename(folder / "ledger.json")
    await ledger.close()
    assert [*read_state(folder).tasks.values()] == [ended[0], later, collecting_task(3)]


async def test_a_snapshot_written_over_gives_no_wrong_record_and_what_the_journals_hold(folder):
    ledger = in_folder(folder)
    await ledger.open()
    await ledger.commit(batch_record(BATCH), *map(waiting_task, range(3)), op="batch.accepted")
    await ledger.commit(waiting_task(2).changed(at=AT, priority=1), op="a.b")
    await ledger.compact()  # the journal is packed into the archive
    (folder / "ledger.json").write_bytes(b"")
    newest = waiting_task(2).changed(at=AT, priority=1)
    assert [ledger.task(each.task_id) for each in (waiting_task(1), newest)] == [
        waiting_task(1),
        newest,
    ]
    for path in (folder / "archive").glob("journal-*.gz"):
        path.write_bytes(b"")
    with pytest.raises(LedgerDamaged):
        ledger.task(waiting_task(0).task_id)
    await ledger.close()


def test_what_the_disk_cannot_read_of_a_snapshot_the_journals_tell(tmp_path):
    encoded = encode_task(waiting_task(1))
    (tmp_path / "journal-000000000001.jsonl").write_bytes(b'{"seq":1,"task":%b}\n' % encoded)
    unreadable = os.open(tmp_path / "ledger.json", os.O_WRONLY | os.O_CREAT)
    spots = Spots.none()
    for number in (1, 2):
        spots.put(waiting_task(number).task_id, 0, Spot.of(encoded, 0))
    stored = Places("task", PlacedFile(tmp_path, unreadable), spots)
    assert stored[waiting_task(1).task_id] == encoded
    with pytest.raises(LedgerDamaged):
        stored[waiting_task(2).task_id]


async def test_a_batch_written_over_in_the_snapshot_is_told_by_the_journals(folder):
    ledger = in_folder(folder)
    await ledger.open()
    await ledger.commit(batch_record("b-1"), batch_record("b-2"), op="batch.accepted")
    newest = batch_record("b-1").changed(at=AT, held="missing_node")
    await ledger.commit(newest, op="batch.held")
    await ledger.compact()
    await ledger.close()
    ledger = in_folder(folder)
    await ledger.open()
    snapshot = folder / "ledger.json"
    snapshot.write_bytes(snapshot.read_bytes().replace(b"spring.csv", b"summer.csv"))
    assert (ledger.batch("b-1"), ledger.batch("b-2")) == (newest, batch_record("b-2"))
    for path in (folder / "archive").glob("journal-*.gz"):
        path.write_bytes(b"")
    assert ledger.batch("b-1") == newest  # it was asked for a moment ago
    with pytest.raises(LedgerDamaged, match="batch b-1 is no more as it was written"):
        list(ledger.batches())
    assert ledger.index.batch_status("b-1") is BatchStatus.RUNNING
    await ledger.close()


async def test_a_snapshot_written_over_by_somebody_is_made_anew(folder):
    ledger = await ledger_with(folder, Disk(), 3)
    ended = [collecting_task(n).moved(Stage.DONE, at=AT) for n in (1, 2)]
    await ledger.commit(ended[0], op="task.done")
    await ledger.compact()
    await ledger.commit(ended[1], op="task.done")
    await ledger.compact()
    snapshot = folder / "ledger.json"
    snapshot.write_bytes(snapshot.read_bytes().replace(b"product.png", b"picture.png"))
    assert ledger.task(ended[0].task_id) == ended[0]
    await ledger.commit(collecting_task(3).changed(at=AT), op="a.b")
    await ledger.compact()
    assert [*ledger.tasks()] == [*ended, collecting_task(3).changed(at=AT)]
    assert list(folder.glob("ledger.json.corrupt-*"))
    await ledger.close()


class InMemory(StoredRecords):
    """The tasks of a store, by hand."""

    def __init__(self, **tasks: bytes) -> None:
        self._tasks = tasks

    def mark_of(self, task_id: str) -> int:
        return decode_keys(self._tasks[task_id]).mark

    def __getitem__(self, task_id: str) -> bytes:
        return self._tasks[task_id]

    def __iter__(self):
        return iter(self._tasks)

    def __len__(self) -> int:
        return len(self._tasks)


def test_a_shelf_shows_what_came_after_the_snapshot_it_lets_go_for():
    tasks = [finished_task(number) for number in range(1, 5)]
    a, b, c, d = tasks
    encoded = {task.task_id: encode_task(task) for task in tasks}
    shelf = Shelf(InMemory(**{a.task_id: encoded[a.task_id], b.task_id: encoded[b.task_id]}))
    written = {c.task_id: encoded[c.task_id], a.task_id: None}
    shelf.remove(a.task_id)
    shelf.put(c, encoded[c.task_id])
    newer = c.changed(at=AT)
    shelf.put(newer, encode_task(newer))
    shelf.put(d, encoded[d.task_id])
    shelf.remove(b.task_id)
    expected = {c.task_id: newer, d.task_id: d}
    assert dict(shelf) == expected
    stored = InMemory(**{b.task_id: encoded[b.task_id], c.task_id: encoded[c.task_id]})
    for _ in chain([None], shelf.read_from(stored, written)):  # others have their turn in between
        assert (dict(shelf), len(shelf), list(shelf)) == (expected, 2, [c.task_id, d.task_id])
    assert shelf._here.keys() == expected.keys()
    assert shelf.find(a.task_id) is shelf.find(b.task_id) is None
    with pytest.raises(KeyError):
        shelf.keys_of(b.task_id)


def test_a_fingerprint_is_known_once_added_and_none_is_known_that_was_not():
    seen = {waiting_task(number).metadata.source.fingerprint for number in range(5_000)}
    known = Fingerprints([*seen, "of another form", *seen])
    assert len(known) == len(seen) + 1
    assert all(each in known for each in seen)
    never = {waiting_task(number).metadata.source.fingerprint for number in range(5_000, 9_000)}
    assert not any(each in known for each in never)
    assert "of another form" in known
    assert not any(each in known for each in ("OF ANOTHER FORM", "x" * 64, "0" * 32))


def test_a_fingerprint_found_across_two_neighbours_is_not_taken_for_one():
    first, second = "00" * 15 + "01" + "aa" * 16, "00" * 15 + "02" + "bb" * 16
    known = Fingerprints([first, second])
    across = (first[:32] + second[:32])[2:34] + "cc" * 16
    assert across not in known
    known.add(across)
    assert (across in known, len(known)) == (True, 3)
