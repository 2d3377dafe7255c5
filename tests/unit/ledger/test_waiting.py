"""The line of a batch's waiting rows keeps its order, short or long."""

from collections.abc import Iterator
from random import Random

from ledger.waiting import Line, Wait, before_all, behind, joined, left, types

PICTURE, VIDEO = "图片合成", "图生视频"


def _of(line: Line, workflow_type: str) -> Iterator[Wait]:
    wait = behind(line, before_all(workflow_type))
    while wait is not None and wait.workflow_type == workflow_type:
        yield wait
        wait = behind(line, wait)


def test_rows_wait_by_priority_then_as_accepted_however_many_come_and_go() -> None:
    chance = Random(7)
    rows = [
        Wait(chance.choice([PICTURE, VIDEO]), -chance.choice([0, 0, 5]), n, f"task-{n}", False)
        for n in range(2_000)
    ]
    for count in (1, 2, 400, 2_000):
        here = rows[:count]
        line: Line = None
        for wait in chance.sample(here, count):
            line = joined(line, wait)
        for kind in (PICTURE, VIDEO):
            assert list(_of(line, kind)) == sorted(w for w in here if w.workflow_type == kind)
        assert list(types(line)) == sorted({wait.workflow_type for wait in here})
        leaving = chance.sample(here, count)
        for wait in leaving[1:]:
            line = left(line, wait)
        assert behind(line, before_all(leaving[0].workflow_type)) == leaving[0]
        line = left(line, leaving[0])
        assert line is None
        assert list(types(line)) == []
