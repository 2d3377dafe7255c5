"""Which waiting row runs next."""

import asyncio
from datetime import timedelta

import pytest

from daemon.dispatch.ready import AFFINITY_STREAK, ReadyRows
from daemon.retrying import JITTER, LONGEST_DELAY_SECONDS
from ledger import slices
from ledger.ledger import Ledger
from ledger.memory import MemoryBackend
from ledger.status import Stage
from ledger.task import Dependency, Task
from tests.fakes.clock import FakeClock
from tests.fakes.records import AT, batch_record, task_record

VIDEO = "图生视频"


class Rows:
    """A ledger in memory with the ready rows that follow it."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.ledger = Ledger(MemoryBackend())
        self.ready = ReadyRows(self.ledger, self.clock)

    async def open(self, *tasks: Task) -> "Rows":
        await self.ledger.open()
        await self.ledger.commit(batch_record(), *tasks, op="rows.accepted")
        await self.ready.load()
        self.ledger.subscribe(self.ready.follow)
        return self

    def take(self, last_type: str | None = None, streak: int = 0, server: str = "a") -> str | None:
        task = self.ready.take(server, last_type, streak, lambda _: True)
        return None if task is None else task.task_id

    async def move(self, task_id: str, *stages: Stage, **fields: object) -> None:
        for stage in stages:
            moved = self.ledger.task(task_id).moved(stage, at=AT, **fields)
            await self.ledger.commit(moved, op="test.moved")


@pytest.fixture
def rows() -> Rows:
    return Rows()


def ids(*numbers: int) -> list[str]:
    return [f"img_20261121_{number:06}" for number in numbers]


async def test_rows_come_by_priority_then_in_the_order_of_their_file(rows: Rows) -> None:
    await rows.open(task_record(1), task_record(2, priority=5), task_record(3), task_record(11))
    assert [rows.take() for _ in range(5)] == [*ids(2, 1, 3, 11), None]


async def test_a_row_whose_priority_was_lowered_waits_for_its_new_place(rows: Rows) -> None:
    first, second, third = (task_record(n, priority=p) for n, p in ((1, 5), (2, 4), (3, 2)))
    await rows.open(first, second, third)
    await rows.ledger.commit(second.changed(at=AT, priority=0), op="test.changed")
    assert [rows.take() for _ in range(4)] == [*ids(1, 3, 2), None]


async def test_no_row_is_given_to_two_lanes(rows: Rows) -> None:
    await rows.open(task_record(1))
    assert rows.take(server="a") == ids(1)[0]
    assert rows.take(server="b") is None


async def test_a_row_that_was_not_submitted_comes_back(rows: Rows) -> None:
    await rows.open(task_record(1))
    task_id = rows.take()
    rows.ready.give_back(str(task_id))
    assert rows.take() == task_id


async def test_rows_of_a_batch_that_does_not_run_stay_but_retried_ones_go(rows: Rows) -> None:
    await rows.open(task_record(1), task_record(2, retried_from="img_20261120_000001"))
    task = rows.ready.take("a", None, 0, lambda _: False)
    assert task is not None
    assert task.task_id == ids(2)[0]
    assert rows.ready.take("a", None, 0, lambda _: False) is None


async def test_the_type_that_ran_last_is_preferred_but_not_for_ever(rows: Rows) -> None:
    await rows.open(task_record(1), task_record(2, workflow_type=VIDEO), task_record(3))
    assert rows.take(last_type=VIDEO, streak=1) == ids(2)[0]
    assert rows.take(last_type=VIDEO, streak=AFFINITY_STREAK) == ids(1)[0]


def two_stages() -> tuple[Task, Task]:
    """Return the picture of a row and the video that is made of it."""
    picture = task_record(1)
    video = task_record(
        2,
        row_id=picture.row_id,
        workflow_type=VIDEO,
        depends_on=Dependency(row_id=picture.row_id, workflow_type=picture.workflow_type),
    )
    return picture, video


async def test_a_video_waits_for_its_picture(rows: Rows) -> None:
    picture, video = two_stages()
    await rows.open(picture, video)
    assert [rows.take(), rows.take()] == [picture.task_id, None]
    await rows.move(picture.task_id, Stage.SUBMITTING, Stage.QUEUED, Stage.COLLECTING, Stage.DONE)
    assert rows.take() == video.task_id


async def test_a_video_whose_picture_failed_is_blocked_with_the_reason(rows: Rows) -> None:
    picture, video = two_stages()
    await rows.open(picture, video)
    await rows.move(picture.task_id, Stage.FAILED)
    assert rows.take() is None
    assert rows.ready.marks == {video.task_id: f"dependency: 图片合成 ({picture.task_id} failed)"}


async def test_a_row_with_a_delay_waits_until_its_moment(rows: Rows) -> None:
    await rows.open(task_record(1, not_before="2026-11-21T10:00:30.000Z"))
    assert rows.take() is None
    assert rows.ready.seconds_to_next() == pytest.approx(30)
    rows.clock.advance(30)
    assert rows.take() == ids(1)[0]


async def test_a_clock_that_is_set_back_makes_no_row_wait_longer_than_its_delay(
    rows: Rows,
) -> None:
    await rows.open(task_record(1, not_before="2026-11-21T10:00:30.000Z"))
    rows.clock.leapt = timedelta(days=-1)
    assert rows.take() is None
    assert rows.ready.seconds_to_next() == pytest.approx(30)
    rows.clock.advance(30)
    assert rows.take() == ids(1)[0]


async def test_a_delay_that_a_wrong_clock_noted_is_no_longer_than_the_longest_there_is(
    rows: Rows,
) -> None:
    await rows.open(task_record(1, not_before="2036-01-01T00:00:00.000Z"))
    assert rows.take() is None
    rows.clock.advance(LONGEST_DELAY_SECONDS * (1 + JITTER))
    assert rows.take() == ids(1)[0]


async def test_a_server_that_cannot_run_a_row_is_not_asked_until_it_may_have_learnt(
    rows: Rows,
) -> None:
    await rows.open(task_record(1))
    task_id = str(rows.take(server="a"))
    rows.ready.exclude(task_record(1), "a", "missing_node", "no Sampler")
    rows.ready.give_back(task_id)
    assert rows.take(server="a") is None
    assert (await rows.ready.unfit(frozenset({"a"})))[task_id].kind == "missing_node"
    assert await rows.ready.unfit(frozenset({"a", "b"})) == {}
    await rows.ready.readmit("a")
    assert rows.take(server="a") == task_id


async def test_rows_waiting_in_an_earlier_process_are_ready_after_the_start(rows: Rows) -> None:
    await rows.open(task_record(1), task_record(2))
    later = ReadyRows(rows.ledger, rows.clock)
    await later.load()
    task = later.take("a", None, 0, lambda _: True)
    assert task is not None
    assert later.batch_ids() == ["spring-abc234"]


async def test_rows_that_come_go_and_change_while_they_are_loaded_stand_where_they_should(
    rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slices, "SLICE_SECONDS", 0.0)  # gives way after each row
    count = 300
    await rows.ledger.open()
    tasks = [task_record(number) for number in range(1, count + 1)]
    await rows.ledger.commit(batch_record(), *tasks, op="rows.accepted")
    rows.ledger.subscribe(rows.ready.follow)
    loading = asyncio.create_task(rows.ready.load())
    await asyncio.sleep(0)
    assert not loading.done()
    for number in reversed(range(1, count, 3)):  # not loaded yet at first, later loaded
        await rows.move(*ids(number), Stage.CANCELLED)
        await rows.ledger.commit(
            rows.ledger.task(*ids(number + 1)).changed(at=AT, priority=1), op="test.changed"
        )
        await rows.ledger.commit(task_record(count + number), op="rows.accepted")
    await loading
    first = ids(*range(2, count, 3))
    then = ids(*range(3, count + 1, 3), *range(count + 1, 2 * count, 3))
    assert [rows.take() for _ in range(count + 1)] == [*first, *then, None]
