"""A run that ends of itself says what it came to."""

import asyncio
from types import SimpleNamespace

from daemon.cli.run import summary
from daemon.upkeep.completion import Completion
from daemon.upkeep.outcome import Endings
from daemon.words import Words
from ledger.batch import BatchStatus
from ledger.entry import Meta
from ledger.ledger import Ledger
from ledger.listeners import of_ends
from ledger.memory import MemoryBackend
from ledger.status import Stage
from tests.fakes.clock import FakeClock
from tests.fakes.records import batch_record, task_record


def counted(ledger: Ledger) -> Endings:
    endings = Endings()
    ledger.subscribe(of_ends(endings.take))
    ledger.subscribe(endings.follow_drops)
    return endings


async def watched(completion: Completion) -> Completion:
    """Return it when it has seen that nothing is left to do."""
    async with asyncio.timeout(5):
        await completion.run(asyncio.Event())
    return completion


async def test_the_summary_counts_what_ended_and_says_why_rows_wait():
    ledger = Ledger(MemoryBackend())
    await ledger.open()
    await ledger.commit(batch_record(status=BatchStatus.STOPPED), op="test")
    await ledger.commit(task_record(1), task_record(2), task_record(3, row_id="r:3"), op="test")
    completion = Completion(ledger, counted(ledger), [], FakeClock())
    at = {"finished_at": "2026-11-21T10:00:00.000Z", "updated_at": "2026-11-21T10:00:00.000Z"}
    await ledger.commit(task_record(9, Stage.DONE, row_id="r:9", **at), op="test")
    filing = {"rejected": [{"line": 2}, {"line": 3}], "error": None}
    await ledger.commit(Meta(section="drops", key="a", value=filing), op="test")
    text = summary(completion.outcome(), Words("en"))
    assert text == (
        "1 done, 0 failed, 2 rejected, 3 waiting; 3 wait because batch spring-abc234 is stopped"
    )
    assert completion.left_undone
    await ledger.close()


async def test_a_row_that_was_refused_is_not_all_done():
    ledger = Ledger(MemoryBackend())
    await ledger.open()
    endings = counted(ledger)
    assert not (await watched(Completion(ledger, endings, [], FakeClock()))).left_undone
    refusing = Completion(ledger, endings, [], FakeClock(), refused=lambda: 3)
    assert (await watched(refusing)).left_undone
    assert refusing.outcome().rejected == 3
    filing = {"rejected": [], "error": "no_rows"}
    await ledger.commit(Meta(section="drops", key="a", value=filing), op="test")
    assert (await watched(Completion(ledger, endings, [], FakeClock()))).left_undone
    await ledger.close()


async def test_a_run_that_was_stopped_before_its_end_is_not_all_done():
    ledger = Ledger(MemoryBackend())
    await ledger.open()
    busy = SimpleNamespace(idle=False)  # a drop lies there that nobody has looked at
    completion = Completion(ledger, counted(ledger), [busy], FakeClock())
    stop = asyncio.Event()
    asyncio.get_running_loop().call_later(0.05, stop.set)
    await completion.run(stop)
    assert completion.left_undone
    await ledger.close()
