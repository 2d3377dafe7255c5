"""The line of a batch's waiting rows keeps its order, short or long."""

from random import Random

from ledger.waiting import Wait, Waiting

PICTURE, VIDEO = "图片合成", "图生视频"


def test_rows_wait_by_priority_then_as_accepted_however_many_come_and_go() -> None:
    waiting, chance = Waiting(), Random(7)
    rows = [
        Wait(chance.choice([PICTURE, VIDEO]), -chance.choice([0, 0, 5]), n, f"task-{n}", False)
        for n in range(2_000)
    ]
    for count in (1, 2, 400, 2_000):
        here = rows[:count]
        for wait in chance.sample(here, count):
            waiting.add("spring", wait)
        for kind in (PICTURE, VIDEO):
            expected = [wait.task_id for wait in sorted(here) if wait.workflow_type == kind]
            assert list(waiting.ids("spring", kind)) == expected
        assert waiting.types("spring") == sorted({wait.workflow_type for wait in here})
        assert waiting.types("summer") == []
        seen = waiting.ids("spring", here[0].workflow_type)
        next(seen)
        for wait in chance.sample(here, count):
            waiting.remove("spring", wait)
        assert list(seen) == []
        assert waiting.types("spring") == []
