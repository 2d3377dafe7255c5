"""Rows behind those that dispatch chooses among: they keep their order, and cost next to nothing."""

import gc
import tracemalloc
from itertools import pairwise
from random import Random

import msgspec

from daemon.dispatch.ready import ReadyRows
from ledger.ledger import Ledger
from ledger.memory import MemoryBackend
from ledger.status import Stage, Status
from ledger.task import Task
from tests.fakes.clock import FakeClock
from tests.fakes.records import AT, batch_record, task_record
from tests.unit.actions.house import row, video_of


class Line:
    """Rows of one batch, of which dispatch looks at a few."""

    def __init__(self, *, choice_rows: int) -> None:
        self.ledger = Ledger(MemoryBackend())
        self.ready = ReadyRows(self.ledger, FakeClock(), choice_rows=choice_rows)

    async def open(self, *tasks: Task) -> "Line":
        await self.ledger.open()
        await self.ledger.commit(batch_record(), *tasks, op="rows.accepted")
        await self.ready.load()
        self.ledger.subscribe(self.ready.follow)
        return self

    async def commit(self, *tasks: Task) -> None:
        await self.ledger.commit(*tasks, op="a.b")

    def take(self) -> Task | None:
        for _ in range(10):
            if (task := self.ready.take("a", None, 0, lambda _: True)) is not None:
                return task
        return None

    def take_all(self) -> list[Task]:
        return list(iter(self.take, None))


async def test_rows_that_come_later_stay_behind_those_that_wait() -> None:
    line = await Line(choice_rows=1).open(*map(task_record, (1, 2, 3)))
    assert line.take() == task_record(1)
    await line.commit(task_record(4))
    assert line.take_all() == [task_record(2), task_record(3), task_record(4)]


async def test_a_row_that_was_tried_comes_back_before_those_behind_it() -> None:
    line = await Line(choice_rows=1).open(*map(task_record, (1, 2, 3)))
    first = line.take()
    assert first is not None
    submitting = msgspec.structs.replace(
        first.moved(Stage.SUBMITTING, at=AT, server="a"), attempt=1, comfyui_task_id="p-1"
    )
    await line.commit(submitting)
    line.ready.give_back(first.task_id)
    again = submitting.moved(Stage.WAITING, at=AT, server=None, comfyui_task_id=None)
    await line.commit(again)
    assert line.take_all() == [again, task_record(2), task_record(3)]


async def test_a_row_put_last_goes_behind_those_that_have_always_been_there() -> None:
    first, urgent = task_record(1, priority=5), task_record(2, priority=5)
    line = await Line(choice_rows=1).open(first, urgent, task_record(3))
    lowered = urgent.changed(at=AT, priority=0)
    await line.commit(lowered)
    assert line.take_all() == [first, task_record(3), lowered]


async def test_a_video_behind_is_told_that_its_picture_failed_and_that_it_is_retried() -> None:
    picture = row(2)
    video = video_of(picture, 3)
    line = await Line(choice_rows=1).open(row(1), row(4), picture, video)
    cancelled = picture.moved(Stage.CANCELLED, at=AT)
    await line.commit(cancelled)
    marks = line.ready.take_marks()
    assert list(marks) == [video.task_id]
    told = video.changed(at=AT, blocked_by=marks[video.task_id])

    anew = ReadyRows(line.ledger, FakeClock(), choice_rows=1)
    await line.commit(told)
    await anew.load()
    line.ledger.subscribe(anew.follow)
    again = msgspec.structs.replace(
        picture, task_id="img_20261121_000099", retried_from=picture.task_id, retry_number=1
    )
    await line.commit(again)
    assert anew.take_marks() == {video.task_id: None}
    assert line.ledger.task(again.task_id).status is Status.WAITING


async def test_no_row_of_those_behind_waits_longer_than_twice_its_place() -> None:
    chance = Random(3)
    rows = [
        task_record(number, workflow_type=chance.choice(("图片合成", "图生视频", "抠图")))
        for number in range(1, 201)
    ]
    line = await Line(choice_rows=24).open(*rows)
    last_type: str | None = None
    turns: dict[str, int] = {}
    while (task := line.ready.take("a", last_type, 0, lambda _: True)) is not None:
        last_type = task.workflow_type
        turns[task.task_id] = len(turns) + 1
    assert all(turns[row.task_id] <= 2 * place for place, row in enumerate(rows, start=1))
    switches = [one.workflow_type for one in sorted(rows, key=lambda each: turns[each.task_id])]
    assert sum(a != b for a, b in pairwise(switches)) < len(rows) / 5


async def test_a_row_behind_those_it_chooses_among_costs_dispatch_less_than_16_bytes() -> None:
    count = 5_500  # with so many, dicts have just grown
    line = Line(choice_rows=16)
    await line.ledger.open()
    await line.commit(*map(task_record, range(1, count + 1)))
    gc.collect()
    tracemalloc.start()
    try:
        await line.ready.load()
        gc.collect()
        held_bytes, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held_bytes / count < 16
    assert line.take() == task_record(1)
