"""Processes that read along without a lock, while one writes, compacts and archives."""

import asyncio
import subprocess
import sys
from pathlib import Path

from ledger.jsondir.check import verify
from ledger.jsondir.orders import Limits
from ledger.jsondir.reader import read_state
from ledger.jsondir.store import JsonDirBackend
from ledger.ledger import Ledger
from ledger.status import Stage
from tests.fakes.records import AT, task_record

#: Each transaction moves a pair in step, so a reader that sees half of one sees a pair apart.
READER = """
import sys, time
from pathlib import Path
from ledger.jsondir.reader import read_state
last, reads = 0, 0
while not Path(sys.argv[2]).exists():
    state = read_state(Path(sys.argv[1]))
    assert state.damage == [], state.damage
    assert state.last_seq >= last and state.last_seq % 2 == 0, (last, state.last_seq)
    total = 0
    for task in state.tasks.values():
        total += task.version
        partner = state.tasks[f"img_20261121_{(task.row_number - 1 ^ 1) + 1:06}"]
        assert partner.version == task.version, (state.last_seq, task.task_id)
    assert total == state.last_seq, (total, state.last_seq)
    last = state.last_seq
    reads += 1
    time.sleep(0.02)
assert "asyncio" not in sys.modules
print(reads)
"""

ROOT = Path(__file__).parents[2]
READERS, COMMITS, COMPACTIONS = 8, 10_000, 20


async def test_readers_always_see_a_prefix_of_whole_transactions(tmp_path):
    folder, end = tmp_path / "ledger", tmp_path / "end"
    readers = [
        subprocess.Popen(
            [sys.executable, "-c", READER, str(folder), str(end)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(READERS)
    ]
    try:
        limits = Limits(snapshot_seconds=0.02, snapshot_share=1)
        ledger = Ledger(JsonDirBackend(folder, limits=limits))
        await ledger.open()
        await write(ledger)
        await ledger.close()
    finally:
        end.touch()
        outcomes = await asyncio.to_thread(lambda: [each.communicate()[0] for each in readers])
    assert [each.returncode for each in readers] == [0] * READERS
    assert all(int(reads) > 0 for reads in outcomes)
    assert read_state(folder).last_seq == 2 * COMMITS
    assert verify(folder) == []


async def write(ledger: Ledger) -> None:
    workers = 50

    async def work(number: int) -> None:
        pair = [task_record(2 * number + 1), task_record(2 * number + 2)]
        await ledger.commit(*pair, op="task.accepted")
        stages = [Stage.SUBMITTING, Stage.WAITING]
        for step in range(COMMITS // workers - 1):
            pair = [task.moved(stages[step % 2], at=AT) for task in pair]
            await ledger.commit(*pair, op="task.moved")

    async def compact() -> None:
        for step in range(COMPACTIONS):
            while ledger.last_seq < step * 2 * COMMITS // COMPACTIONS:
                await asyncio.sleep(0.001)
            await ledger.compact()

    await asyncio.gather(*(work(number) for number in range(workers)), compact())
