"""What a batch cost, told while its tasks go on ending."""

import asyncio

import pytest

from daemon.upkeep.gpu_time import GpuTime
from ledger import slices
from ledger.ledger import Ledger
from ledger.listeners import of_ends
from ledger.memory import MemoryBackend
from ledger.status import Stage
from ledger.task import Task
from tests.fakes.records import AT, batch_record, task_record

LATER = "2026-11-21T11:00:00.000Z"
ROWS = 300


async def open_ledger() -> Ledger:
    ledger = Ledger(MemoryBackend())
    await ledger.open()
    return ledger


def done(task: Task, seconds: float) -> Task:
    return task.moved(Stage.DONE, at=LATER, gpu_seconds=seconds)


async def test_a_task_that_ends_while_its_batch_is_summed_up_counts_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(slices, "SLICE_SECONDS", 0.0)  # gives way after each task
    ledger = await open_ledger()
    tasks = [
        task_record(number, Stage.COLLECTING, product_name=f"产品{number % 2}")
        for number in range(ROWS)
    ]
    await ledger.commit(batch_record(), *tasks, op="batch.accepted")
    gpu_time = GpuTime(ledger)
    ledger.subscribe(of_ends(gpu_time.take))
    for task in tasks[::2]:
        await ledger.commit(done(task, 1.0), op="task.done")

    async def end_the_others() -> None:
        for task in reversed(tasks[1::2]):  # ahead of the sum, that is
            await ledger.commit(done(task, 2.0), op="task.done")

    ending = asyncio.create_task(end_the_others())
    while not ending.done():
        assert (await gpu_time.of("spring-abc234"))["产品0"] == ROWS / 2
        await asyncio.sleep(0)
    await ending
    assert await gpu_time.of("spring-abc234") == {"产品0": ROWS / 2, "产品1": float(ROWS)}
    await ledger.close()


async def test_what_is_still_open_or_told_no_time_costs_nothing() -> None:
    ledger = await open_ledger()
    running = task_record(1, Stage.RUNNING, gpu_seconds=9.0, started_at=AT)  # of an earlier attempt
    untold = task_record(2, Stage.FAILED, finished_at=AT)
    await ledger.commit(batch_record(), running, untold, op="batch.accepted")
    assert await GpuTime(ledger).of("spring-abc234") == {}
    await ledger.close()
