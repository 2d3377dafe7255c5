"""An estimate is a range that holds what really happens, or there is none."""

import cProfile
import heapq
from datetime import datetime, timedelta

import pytest

from daemon.upkeep.eta import (
    KEPT_RUNS,
    TASKS_LOOKED_AT,
    Eta,
    RunTimes,
    Work,
    estimate,
    remaining_work,
)
from ledger.entry import transaction_of
from ledger.ledger import Ledger
from ledger.listeners import of_ends
from ledger.memory import MemoryBackend
from ledger.status import Stage
from ledger.timestamps import from_timestamp, to_timestamp
from tests.fakes.records import AT, batch_record, task_record


def known(*runs: tuple[str, str, float]) -> RunTimes:
    """Return the run times after these runs: type, server, seconds."""
    times = RunTimes()
    for number, (workflow_type, server, seconds) in enumerate(runs):
        task = task_record(
            number,
            Stage.DONE,
            workflow_type=workflow_type,
            server=server,
            gpu_seconds=seconds,
            finished_at=AT,
        )
        times.take(task)
    return times


def test_with_fewer_than_five_runs_nobody_can_know() -> None:
    work = Work(tasks={"图片合成": 10})
    four = [("图片合成", "a", 10.0)] * 4
    assert estimate(work, ["a"], known(*four)) is None
    assert estimate(work, ["a"], known(*four, ("图片合成", "b", 10.0))) is not None


def test_each_type_that_is_left_must_be_known() -> None:
    times = known(*[("图片合成", "a", 10.0)] * 9)
    assert estimate(Work(tasks={"图片合成": 1, "图生视频": 1}), ["a"], times) is None


def test_without_servers_or_work_there_is_no_estimate() -> None:
    times = known(*[("图片合成", "a", 10.0)] * 9)
    assert estimate(Work(tasks={"图片合成": 3}), [], times) is None
    assert estimate(Work(tasks={}), ["a"], times) is None


def test_one_server_with_even_runs_needs_just_their_sum() -> None:
    times = known(*[("图片合成", "a", 10.0)] * 5, *[("图生视频", "a", 60.0)] * 5)
    eta = estimate(Work(tasks={"图片合成": 3, "图生视频": 2}), ["a"], times)
    assert eta == Eta(low_seconds=150.0, high_seconds=150.0)


def test_what_is_already_spent_on_running_rows_counts_no_more() -> None:
    times = known(*[("图片合成", "a", 10.0)] * 5)
    eta = estimate(Work(tasks={"图片合成": 2}, spent_seconds=4), ["a"], times)
    assert eta == Eta(low_seconds=16.0, high_seconds=16.0)
    eta = estimate(Work(tasks={"图片合成": 1}, spent_seconds=40), ["a"], times)
    assert eta == Eta(low_seconds=0.0, high_seconds=0.0)


def test_a_server_new_to_a_type_is_taken_for_as_fast_as_the_others() -> None:
    times = known(*[("图片合成", "a", 10.0)] * 5)
    eta = estimate(Work(tasks={"图片合成": 100}), ["a", "b"], times)
    assert eta is not None
    assert eta.low_seconds == 500.0


@pytest.mark.parametrize("tasks", [1, 2, 3, 7, 40])
def test_two_servers_of_different_speed_end_within_the_range(tasks: int) -> None:
    seconds = {"a": 10.0, "b": 30.0}
    times = known(*[("图片合成", name, each) for name, each in seconds.items()] * 5)
    eta = estimate(Work(tasks={"图片合成": tasks}), list(seconds), times)
    free = [(0.0, name) for name in seconds]
    for _ in range(tasks):  # each row to the server that is free first
        at, name = heapq.heappop(free)
        heapq.heappush(free, (at + seconds[name], name))
    needed = max(at for at, _ in free)
    assert eta is not None
    assert eta.low_seconds <= needed <= eta.high_seconds


def test_only_the_last_runs_count_and_memory_stays_bounded() -> None:
    slow, quick = [("图片合成", "a", 100.0)] * 500, [("图片合成", "a", 1.0)] * KEPT_RUNS
    times = known(*slow, *quick)
    assert list(times.of("图片合成")["a"]) == [1.0] * KEPT_RUNS


def test_a_change_of_a_task_that_was_done_before_is_no_run() -> None:
    times = RunTimes()
    done = task_record(1, Stage.DONE, server="a", gpu_seconds=5.0, finished_at=AT)
    later = to_timestamp(from_timestamp(AT) + timedelta(days=1))
    of_ends(times.take)(transaction_of(done.changed(at=later, retry_count=1), op="task.retried"))
    assert not times.of("图片合成")


async def test_a_start_knows_the_runs_of_the_newest_batches() -> None:
    ledger = Ledger(MemoryBackend())
    await ledger.open()
    await ledger.commit(batch_record(), op="batch.accepted")
    for number in range(6):
        task = task_record(
            number, Stage.DONE, server="a", gpu_seconds=float(number), finished_at=AT
        )
        await ledger.commit(task, op="task.done")
    times = RunTimes()
    await times.load(ledger)
    assert sorted(times.of("图片合成")["a"]) == [0, 1, 2, 3, 4, 5]
    await ledger.close()


async def test_a_start_looks_at_the_newest_runs_of_a_large_batch() -> None:
    ledger = Ledger(MemoryBackend())
    await ledger.open()
    done = [
        task_record(number, Stage.DONE, server="a", gpu_seconds=float(number), finished_at=AT)
        for number in range(TASKS_LOOKED_AT + KEPT_RUNS)
    ]
    waiting = [task_record(len(done) + number) for number in range(TASKS_LOOKED_AT)]
    await ledger.commit(batch_record(), *done, *waiting, op="batch.accepted")
    times = RunTimes()
    await times.load(ledger)
    newest = len(done) - KEPT_RUNS
    assert list(times.of("图片合成")["a"]) == [float(newest + n) for n in range(KEPT_RUNS)]
    await ledger.close()


async def test_what_remains_costs_no_more_with_a_thousand_rows_than_with_ten() -> None:
    ledger = Ledger(MemoryBackend())
    await ledger.open()
    calls = []
    for batch_id, rows in (("small-abc234", 10), ("large-abc234", 1000)):
        tasks = [
            task_record(
                number,
                batch_id=batch_id,
                task_id=f"{batch_id}:{number}",
                row_id=f"{batch_id}:{number}",
                blocked_by="dependency: x" if number % 2 else None,
            )
            for number in range(rows)
        ]
        await ledger.commit(batch_record(batch_id), *tasks, op="rows.accepted")
        profile = cProfile.Profile()
        work = profile.runcall(remaining_work, ledger, batch_id, from_timestamp(AT))
        assert work.tasks == {"图片合成": rows / 2}
        calls.append(sum(entry.callcount for entry in profile.getstats()))
    assert calls[1] <= calls[0]
    await ledger.close()


async def test_blocked_rows_and_ended_ones_are_no_work_that_remains() -> None:
    ledger = Ledger(MemoryBackend())
    await ledger.open()
    await ledger.commit(batch_record(), op="batch.accepted")
    began = to_timestamp(from_timestamp(AT) - timedelta(seconds=30))
    tasks = [
        task_record(1),
        task_record(2, blocked_by="dependency: x"),
        task_record(3, Stage.RUNNING, server="a", started_at=began),
        task_record(4, Stage.COLLECTING, server="a"),
        task_record(5, Stage.DONE),
        task_record(6, workflow_type="图生视频"),
    ]
    await ledger.commit(*tasks, op="task.accepted")
    now: datetime = from_timestamp(AT)
    work = remaining_work(ledger, "spring-abc234", now)
    assert work.tasks == {"图片合成": 2, "图生视频": 1}
    assert work.spent_seconds == 30.0
    await ledger.close()
