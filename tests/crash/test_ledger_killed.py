"""A process that commits without end is killed at every place the disk code names."""

import asyncio
import signal
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

from ledger.jsondir.archive import find
from ledger.jsondir.check import verify
from ledger.jsondir.reader import read_state
from ledger.jsondir.store import JsonDirBackend
from ledger.ledger import Ledger
from tests.fakes.records import batch_record

#: Commits in a loop, compacts and archives now and then, says on stdout what was acknowledged.
COMMITTER = """
import asyncio, os, signal, sys
from datetime import UTC, datetime
from pathlib import Path
from ledger.jsondir.files import Disk
from ledger.jsondir.orders import Limits
from ledger.jsondir.store import JsonDirBackend
from ledger.ledger import Ledger
from ledger.status import Stage
from ledger.task import Metadata, Source
from tests.fakes.records import AT, batch_record, task_record

folder, place, count = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])

def say(*words):
    os.write(1, (" ".join(map(str, words)) + "\\n").encode())  # in one piece, from any thread

def reached(name):
    global count
    if place == "list":
        say("place", name)
    elif name == place:
        count -= 1
        if count == 0:
            os.kill(os.getpid(), signal.SIGKILL)

async def work():
    limits = Limits(snapshot_seconds=0.001, snapshot_share=1)
    ledger = Ledger(JsonDirBackend(folder, disk=Disk(reached), limits=limits))
    await ledger.open()
    if not ledger.index.batch_ids():
        await ledger.commit(batch_record(), op="batch.accepted")
    for _ in range(3):
        batch = ledger.batch(batch_record().batch_id)
        batch = batch.changed(at=AT, failures_in_a_row=batch.version)
        await ledger.commit(batch, op="batch.counted")
        say("acked", batch.batch_id, batch.version)
        pair = [
            task_record(int(task_id[-6:]), task_id=task_id, metadata=Metadata(source=Source(
                kind="inbox", name="spring.csv", fingerprint=task_id)))
            for task_id in ledger.new_task_ids("图片合成", AT, 2)
        ]
        await ledger.commit(*pair, op="task.accepted")
        say("acked", pair[0].task_id, 1)
        say("acked", pair[1].task_id, 1)
        gone = pair[0].moved(Stage.FAILED, at=AT)
        await ledger.commit(gone, op="task.failed")
        say("acked", gone.task_id, 2)
        await ledger.compact()
        await ledger.archive_finished(datetime(2027, 1, 1, tzinfo=UTC))
        await ledger.forget_history(datetime(2029, 1, 1, tzinfo=UTC))
    await ledger.close()

asyncio.run(work())
"""

BATCH = batch_record().batch_id
ROOT = Path(__file__).parents[2]


def run(folder: Path, place: str, count: int = 1) -> tuple[int, list[list[str]]]:
    done = subprocess.run(
        [sys.executable, "-c", COMMITTER, str(folder), place, str(count)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        check=False,
        timeout=60,
    )
    said = [line.split() for line in done.stdout.splitlines()]  # and what was logged
    return done.returncode, [words for words in said if words[0] in ("place", "acked")]


@pytest.fixture(scope="module")
def places(tmp_path_factory) -> list[str]:
    code, lines = run(tmp_path_factory.mktemp("list") / "ledger", "list")
    assert code == 0
    return sorted({name for kind, name, *_ in lines if kind == "place"})


def test_every_acknowledged_change_survives_a_kill_at_every_place(places, tmp_path):
    assert len(places) >= 25
    for place in places:
        folder = tmp_path / place
        acked: dict[str, int] = {}
        for count in (1, 2):  # killed, opened again, killed again at the same place
            code, lines = run(folder, place, count)
            assert count == 2 or code == -signal.SIGKILL, place
            acked |= {name: int(version) for _, name, version in lines}
        code, lines = run(folder, "none")
        assert code == 0, place
        acked |= {name: int(version) for _, name, version in lines}
        assert verify(folder) == [], place
        batch = read_state(folder).batches[BATCH]
        last = acked.pop(BATCH)
        assert (batch.version, batch.failures_in_a_row) == (last, last - 1), place
        must_hold(folder, acked, place)
        asyncio.run(must_know(folder, acked, place))


async def must_know(folder: Path, acked: Iterable[str], place: str) -> None:
    ledger = Ledger(JsonDirBackend(folder))
    await ledger.open()
    assert [each for each in acked if not ledger.was_accepted(each)] == [], place
    await ledger.close()


def must_hold(folder: Path, acked: dict[str, int], place: str) -> None:
    state = read_state(folder)
    for task_id, version in acked.items():
        task = state.tasks.get(task_id) or find(folder, task_id)
        assert task is not None, (place, task_id)
        assert task.version >= version, (place, task_id)
    counters = state.meta["counters"]
    assert max(int(task_id[-6:]) for task_id in acked) <= counters["img_20261121"], place
