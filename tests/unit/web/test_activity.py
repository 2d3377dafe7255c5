"""What the overview says of the last hour, as time goes by."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from daemon.concern import Concern
from daemon.web.activity import (
    BUSY_SECONDS,
    LATEST_RESULTS,
    MINUTES,
    TASKS_LOOKED_AT,
    Activity,
)
from daemon.web.documents import OverviewDocument
from ledger.ledger import Ledger
from ledger.listeners import of_ends
from ledger.memory import MemoryBackend
from ledger.status import Stage
from ledger.timestamps import to_timestamp
from tests.fakes.clock import FakeClock
from tests.fakes.records import AT, batch_record, task_record


class Server:
    name = "gpu-0"


def overview_of(activity: Activity, *concerns: Concern) -> OverviewDocument:
    return activity.overview([Server()], 3, concerns)


@pytest.fixture
async def ledger() -> AsyncIterator[Ledger]:
    ledger = Ledger(MemoryBackend())
    await ledger.open()
    await ledger.commit(batch_record(), op="test")
    yield ledger
    await ledger.close()


async def ended(
    ledger: Ledger, clock: FakeClock, number: int, stage: Stage, **more: object
) -> None:
    at = to_timestamp(clock.now())
    await ledger.commit(
        task_record(number, stage, updated_at=at, finished_at=at, row_id=f"r:{number}", **more),
        op="test",
    )


async def test_what_ends_is_counted_in_its_minute_and_forgotten_after_an_hour(ledger):
    clock = FakeClock()
    activity = Activity(ledger, clock)
    ledger.subscribe(of_ends(activity.take))
    await ended(ledger, clock, 1, Stage.DONE)
    await ended(ledger, clock, 2, Stage.FAILED)
    clock.advance(60)
    await ended(ledger, clock, 3, Stage.DONE)
    await ended(ledger, clock, 4, Stage.CANCELLED)
    overview = overview_of(activity)
    assert overview.done_per_minute[-2:] == [1, 1]
    assert overview.failed_per_minute[-2:] == [1, 0]
    assert len(overview.done_per_minute) == MINUTES
    assert overview.stuck == 3
    clock.advance(3600)
    assert sum(overview_of(activity).done_per_minute) == 0


async def test_the_busy_share_counts_runs_that_ended_and_the_one_that_runs(ledger):
    clock = FakeClock()
    activity = Activity(ledger, clock)
    ledger.subscribe(of_ends(activity.take))
    clock.advance(BUSY_SECONDS)
    began = to_timestamp(clock.now() - timedelta(seconds=60))
    await ended(ledger, clock, 1, Stage.DONE, server="gpu-0", started_at=began, gpu_seconds=60.0)
    assert overview_of(activity).busy_shares == {
        "gpu-0": pytest.approx(60 / BUSY_SECONDS, abs=0.02)
    }
    now = to_timestamp(clock.now())
    await ledger.commit(task_record(2, Stage.RUNNING, server="gpu-0", started_at=now), op="test")
    clock.advance(90)
    assert overview_of(activity).busy_shares["gpu-0"] == pytest.approx(0.5, abs=0.02)
    clock.advance(10 * BUSY_SECONDS)
    assert overview_of(activity).busy_shares["gpu-0"] == 1.0


async def test_what_a_person_should_mend_is_told_in_both_languages_while_it_lasts(ledger):
    activity = Activity(ledger, FakeClock())
    trouble = Concern("concern.ledger", {"path": "/var/ledger"})
    (warning,) = overview_of(activity, trouble).warnings
    assert warning.code == "ledger"
    assert "make room at /var/ledger" in warning.en
    assert "请为 /var/ledger 腾出空间" in warning.zh
    assert overview_of(activity).warnings == []


async def test_the_newest_results_are_kept_and_found_again_after_a_start(ledger):
    clock = FakeClock()
    activity = Activity(ledger, clock)
    ledger.subscribe(of_ends(activity.take))
    for number in range(1, LATEST_RESULTS + 5):
        clock.advance(1)
        await ended(ledger, clock, number, Stage.DONE, output_files=(f"outputs/{number}.png",))
    newest = [row.row_number for row in activity.latest()]
    assert newest == list(range(LATEST_RESULTS + 4, 4, -1))
    later = Activity(ledger, clock)
    await later.load()
    assert [row.row_number for row in later.latest()] == newest


async def test_the_newest_results_of_a_large_batch_are_found_beyond_its_first_rows(ledger):
    done = [
        task_record(n, Stage.DONE, finished_at=AT, output_files=(f"outputs/{n}.png",))
        for n in range(TASKS_LOOKED_AT + 2)
    ]
    await ledger.commit(*done, task_record(9000), op="test")
    activity = Activity(ledger, FakeClock())
    await activity.load()
    assert activity.latest()[0].row_number == TASKS_LOOKED_AT + 1
