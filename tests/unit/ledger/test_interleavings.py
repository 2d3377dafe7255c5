"""Many committers, some of them cancelled, on a disk that is full at times: in any order of turns.

What was acknowledged is there, in the order in which it was; what was refused left no trace.
"""

import asyncio
import contextlib
from functools import partial
from random import Random

import pytest

from ledger import applying, slices
from ledger import ledger as committing
from ledger.batch import Batch
from ledger.entry import Record
from ledger.errors import Conflict, LedgerClosed
from ledger.jsondir.check import verify
from ledger.jsondir.orders import Limits
from ledger.jsondir.reader import read_state
from ledger.ledger import Ledger
from ledger.status import IN_PROCESS_STAGES, MOVES
from ledger.task import Task
from tests.fakes.disk import FailingDisk
from tests.fakes.records import AT, batch_record, task_record
from tests.unit.ledger.conftest import in_folder

LARGE = 4
EAGER = Limits(
    snapshot_seconds=0,
    snapshot_share=1,
    journal_bytes=20_000,
    unfolded_bytes=20_000,
    quiet_seconds=0,
)


class Crowd:
    """Committers, and what came of what they did.

    They go on from what the ledger shows them or, as if they had just done it, from what is under
    way.
    """

    def __init__(self, ledger: Ledger, order: Random) -> None:
        self.ledger = ledger
        self.order = order
        self.acknowledged: list[str] = []
        self.refused: set[str] = set()
        self.heard: list[tuple[str, Record]] = []
        ledger.subscribe(lambda part: self.heard.extend((part.op, each) for each in part.records))

    async def work(self, name: str) -> None:
        for step in range(20):
            op = f"{name}.{step}"
            commit = asyncio.ensure_future(self.ledger.commit(*self.records(), op=op))
            commit.add_done_callback(partial(self.note_end, op))
            for _ in range(self.order.randrange(6)):
                await asyncio.sleep(0)
            if self.order.random() < 0.15:
                commit.cancel()
            try:
                await commit
            except asyncio.CancelledError:
                continue
            except (Conflict, LedgerClosed):
                while not self.ledger.writable:
                    await asyncio.sleep(0.001)

    def note_end(self, op: str, commit: asyncio.Future[None]) -> None:
        """Note what came of it the moment it ended, whatever who began it is at."""
        if commit.cancelled():
            return
        (self.acknowledged.append if commit.exception() is None else self.refused.add)(op)

    def records(self) -> list[Record]:
        """Return next versions of some records; now and then two of one task."""
        known = self.order.choice((self.ledger.index, self.ledger._pending))
        count = self.order.choice((1, 1, 1, 1, 2, 3, LARGE + 1, 9))
        records: list[Record] = []
        for number in self.order.sample(range(1, 25), count):
            task = known.find_task(task_record(number).task_id)
            records.append(task_record(number) if task is None else self.moved(task))
            if self.order.random() < 0.2:
                records.append(self.moved(records[-1]))
        if self.order.random() < 0.3:
            batch = known.find_batch("spring-abc234")
            records.insert(0, batch_record(version=batch.version + 1 if batch else 1))
        return records

    def moved(self, task: Task) -> Task:
        stages = sorted(MOVES[task.stage])
        if not stages or self.order.random() < 0.3:
            return task.changed(at=AT, priority=self.order.randrange(9))
        return task.moved(self.order.choice(stages), at=AT, server="gpu-a")


@pytest.mark.parametrize("seed", range(4))
async def test_any_interleaving_loses_nothing_and_leaves_no_trace_of_what_was_refused(
    folder, monkeypatch, seed
):
    for module in (slices, applying):
        monkeypatch.setattr(module, "SLICE", LARGE)
        monkeypatch.setattr(module, "SLICE_SECONDS", -1)
    monkeypatch.setattr(slices, "PART", LARGE)
    monkeypatch.setattr(committing, "RECORDS_AT_ONCE", 2)
    order, disk = Random(seed), FailingDisk()
    ledger = in_folder(folder, disk, EAGER)
    await ledger.open()
    crowd = Crowd(ledger, order)
    everybody = asyncio.gather(*(crowd.work(f"w{number}") for number in range(8)))
    async with asyncio.timeout(60):
        while not everybody.done():
            disk.full = order.random() < 0.2
            await asyncio.sleep(order.random() * 0.01)
            if not ledger.writable:
                disk.full = False
                await ledger.reopen()
        await everybody
        disk.full = False  # behind all others: one whose committer was cancelled may still fail
        with contextlib.suppress(LedgerClosed):
            await ledger.commit(batch_record("the-last-aaaaaa"), op="last.0")
        await ledger.reopen()
        await ledger.close()
    pending = ledger._pending
    assert (pending.batches, pending.open) == ({}, {})
    for task_id, task in pending.tasks.items():  # what goes on in its place stays, until it moves
        assert task is ledger.index.find_task(task_id)
        assert task.stage in IN_PROCESS_STAGES
    heard = list(dict.fromkeys(op for op, _ in crowd.heard))
    assert [op for op in heard if op in set(crowd.acknowledged)] == crowd.acknowledged
    assert len(crowd.acknowledged) > 10 < len(crowd.refused)
    assert not crowd.refused.intersection(heard)
    newest = {record.record_id: record for _, record in crowd.heard}
    state = read_state(folder)
    assert newest == {**dict(state.tasks), **state.batches}
    assert newest == {
        **{task.task_id: task for task in ledger.tasks()},
        **{batch.batch_id: batch for batch in ledger.batches()},
    }
    assert sum(isinstance(each, Task | Batch) for _, each in crowd.heard) == state.last_seq
    assert verify(folder) == []
