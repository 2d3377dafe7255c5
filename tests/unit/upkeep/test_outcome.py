"""A run that ends of itself says what it came to."""

import asyncio
from types import SimpleNamespace

from daemon.cli.run import summary
from daemon.upkeep.completion import Completion
from daemon.words import Words
from ledger.batch import BatchStatus
from ledger.entry import Meta
from ledger.ledger import Ledger
from ledger.memory import MemoryBackend
from ledger.status import Stage
from tests.fakes.clock import FakeClock
from tests.fakes.records import batch_record, task_record


async def test_the_summary_counts_what_ended_and_says_why_rows_wait():
    ledger = Ledger(MemoryBackend())
    await ledger.open()
    await ledger.commit(batch_record(status=BatchStatus.STOPPED), op="test")
    await ledger.commit(task_record(1), task_record(2), task_record(3, row_id="r:3"), op="test")
    completion = Completion(ledger, [], FakeClock())
    stop = asyncio.Event()
    watching = asyncio.ensure_future(completion.run(stop))
    await asyncio.sleep(0)
    at = {"finished_at": "2026-11-21T10:00:00.000Z", "updated_at": "2026-11-21T10:00:00.000Z"}
    await ledger.commit(task_record(9, Stage.DONE, row_id="r:9", **at), op="test")
    filing = {"rejected": [{"line": 2}, {"line": 3}], "error": None}
    await ledger.commit(Meta(section="drops", key="a", value=filing), op="test")
    stop.set()
    await watching
    text = summary(completion.outcome(), Words("en"))
    assert text == (
        "1 done, 0 failed, 2 rejected, 3 waiting; 3 wait because batch spring-abc234 is stopped"
    )
    assert completion.left_undone
    await ledger.close()


async def test_a_row_that_was_refused_is_not_all_done():
    ledger = Ledger(MemoryBackend())
    await ledger.open()
    assert not Completion(ledger, [], FakeClock()).left_undone
    completion = Completion(ledger, [], FakeClock(), refused=lambda: 3)
    assert completion.left_undone
    assert completion.outcome().rejected == 3
    completion = Completion(ledger, [SimpleNamespace(idle=False)], FakeClock())
    stop = asyncio.Event()
    watching = asyncio.ensure_future(completion.run(stop))
    await asyncio.sleep(0)
    filing = {"rejected": [], "error": "no_rows"}
    await ledger.commit(Meta(section="drops", key="a", value=filing), op="test")
    stop.set()
    await watching
    assert completion.left_undone
    await ledger.close()
