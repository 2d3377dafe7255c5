"""When a batch has failed too often in a row."""

from daemon.settle.streaks import BATCH_RESUMED, Streaks
from ledger.ledger import Ledger
from ledger.memory import MemoryBackend
from ledger.status import Stage
from tests.fakes.records import AT, batch_record, task_record

BATCH = "spring-abc234"
LIMIT = 3
BEFORE, DURING, AFTER = (f"2026-11-21T10:00:0{second}.000Z" for second in (1, 2, 3))


class Results:
    """Rows that end one after the other; each began at its own moment."""

    def __init__(self) -> None:
        self.ledger = Ledger(MemoryBackend())
        self.number = 0

    async def open(self) -> Streaks:
        await self.ledger.open()
        await self.ledger.commit(batch_record(), op="rows.accepted")
        return Streaks(self.ledger, LIMIT)

    async def end(self, stage: Stage, began: str, kind: str | None = None) -> None:
        self.number += 1
        task = task_record(self.number, Stage.COLLECTING, started_at=began)
        await self.ledger.commit(task, op="test.given")
        await self.ledger.commit(task.moved(stage, at=AFTER, error_kind=kind), op="test.ended")

    async def fail(self, began: str, kind: str = "execution_error") -> None:
        await self.end(Stage.FAILED, began, kind)


async def test_a_success_that_began_after_the_first_failure_ends_the_row_of_failures() -> None:
    results = Results()
    streaks = await results.open()
    await results.fail(BEFORE)
    await results.fail(DURING)
    await results.end(Stage.DONE, DURING)
    assert streaks.count(BATCH) == 0


async def test_a_success_from_before_the_first_failure_proves_nothing() -> None:
    results = Results()
    streaks = await results.open()
    await results.fail(DURING)
    await results.end(Stage.DONE, BEFORE)
    await results.fail(AFTER)
    assert streaks.count(BATCH) == 2


async def test_failures_that_are_not_the_rows_fault_do_not_count() -> None:
    results = Results()
    streaks = await results.open()
    await results.fail(BEFORE, "interrupted")
    await results.fail(BEFORE, "poison")
    assert streaks.count(BATCH) == 0


async def test_at_the_limit_the_count_stays_until_somebody_has_looked() -> None:
    results = Results()
    streaks = await results.open()
    for _ in range(LIMIT):
        await results.fail(BEFORE)
    await results.end(Stage.DONE, AFTER)
    assert streaks.too_long(BATCH)
    batch = results.ledger.batch(BATCH)
    await results.ledger.commit(batch.changed(at=AT), op=BATCH_RESUMED)
    assert streaks.count(BATCH) == 0
