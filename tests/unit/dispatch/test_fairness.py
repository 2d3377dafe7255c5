"""Affinity keeps a row waiting no longer than twice its place in the order of arrival."""

from itertools import groupby, pairwise

import pytest

from daemon.dispatch.fairness import Fairness
from daemon.dispatch.ready import ReadyRows
from ledger.ledger import Ledger
from ledger.memory import MemoryBackend
from ledger.status import Stage
from tests.fakes.clock import FakeClock
from tests.fakes.records import AT, batch_record, task_record

PICTURE, VIDEO = "图片合成", "图生视频"


async def turns(types: list[str]) -> list[int]:
    """Return the rows of these types in the order in which one server gets them."""
    ledger = Ledger(MemoryBackend())
    await ledger.open()
    rows = [task_record(n, workflow_type=each) for n, each in enumerate(types, start=1)]
    await ledger.commit(batch_record(), *rows, op="rows.accepted")
    ready = ReadyRows(ledger, FakeClock())
    await ready.load()
    ledger.subscribe(ready.follow)
    taken: list[int] = []
    last_type, streak = None, 0
    while (task := ready.take("a", last_type, streak, lambda _: True)) is not None:
        await ledger.commit(task.moved(Stage.SUBMITTING, at=AT, server="a"), op="task.submitting")
        ready.give_back(task.task_id)
        streak = streak + 1 if task.workflow_type == last_type else 1
        last_type = task.workflow_type
        taken.append(int(task.row_id.rpartition(":")[2]))
    return taken


@pytest.mark.parametrize("mix", ["alternating", "one in ten", "halves"])
async def test_no_row_comes_later_than_twice_its_place_and_models_are_switched_rarely(
    mix: str,
) -> None:
    types = {
        "alternating": [PICTURE, VIDEO] * 100,
        "one in ten": [VIDEO if n % 10 == 3 else PICTURE for n in range(200)],
        "halves": [PICTURE] * 100 + [VIDEO] * 100,
    }[mix]
    order = await turns(types)
    assert sorted(order) == list(range(1, 201))
    late = {row: turn for turn, row in enumerate(order, start=1) if turn > 2 * row}
    assert late == {}
    switches = sum(one != other for one, other in pairwise(types))
    runs = [name for name, _ in groupby(types[row - 1] for row in order)]
    assert len(runs) - 1 <= max(1, switches // 4)


async def test_a_row_put_first_waits_no_longer_than_twice_its_place_among_those_put_first() -> None:
    ledger = Ledger(MemoryBackend())
    await ledger.open()
    rows = [task_record(number) for number in range(1, 31)]
    video = task_record(31, workflow_type=VIDEO)
    await ledger.commit(batch_record(), *rows, video, op="rows.accepted")
    ready = ReadyRows(ledger, FakeClock())
    await ready.load()
    ledger.subscribe(ready.follow)
    await ledger.commit(video.changed(at=AT, priority=1), op="task.put_first")
    urgent = [task_record(number, priority=1) for number in range(41, 71)]
    await ledger.commit(*urgent, op="rows.accepted")
    taken = [ready.take("a", PICTURE, streak, lambda _: True) for streak in (1, 2)]
    assert video.task_id in {task.task_id for task in taken if task is not None}


def test_a_row_is_late_once_twice_as_many_have_gone_as_waited_when_it_came() -> None:
    fairness = Fairness()
    first, second, third = (fairness.enter(0) for _ in range(3))
    fairness.took(0)
    assert [fairness.is_late(0, latest) for latest in (first, second, third)] == [
        True,
        False,
        False,
    ]
    for _ in range(2):
        fairness.took(0)
        fairness.leave(0)
    assert fairness.is_late(0, second)
    assert not fairness.is_late(0, third)
    assert not fairness.is_late(0, fairness.enter(0))


def test_rows_of_another_priority_stand_in_another_line() -> None:
    fairness = Fairness()
    plain = fairness.enter(0)
    fairness.enter(5)
    for _ in range(10):
        fairness.took(5)
    assert not fairness.is_late(0, plain)
