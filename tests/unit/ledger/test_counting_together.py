"""Tasks that are loaded together are counted as if they had come one by one."""

from itertools import product

from ledger.entry import ARCHIVED, Meta
from ledger.index import Index
from ledger.shelf import encode_task
from ledger.state import State
from ledger.status import Stage
from ledger.task import Task
from tests.fakes.records import task_record

#: More than are counted together at a time.
BATCHES = [f"batch-{number}" for number in range(300)]
STAGES = (Stage.DONE, Stage.FAILED, Stage.WAITING, Stage.RUNNING)


def tasks_of_many_batches() -> list[Task]:
    """Return two rows of each batch, then two more of each, and so on, a task of each type."""
    rows = product((1, 3, 5), BATCHES, (0, 1), ("图片合成", "图生视频"))
    return [
        task_record(
            number,
            STAGES[number % 7 % len(STAGES)],
            batch_id=batch_id,
            row_id=f"{batch_id}:{row + second}",
            workflow_type=workflow_type,
            blocked_by="disk full" if number % 5 == 0 else None,
        )
        for number, (row, batch_id, second, workflow_type) in enumerate(rows)
    ]


def told(index: Index) -> list[object]:
    """Return all counts, with the order in which they are told."""
    of_each = [
        (
            index.counts(batch_id),
            [*index.family_counts(batch_id).items()],
            index.stage_counts(batch_id),
            index.blocked_types(batch_id),
            index.failed_ids(batch_id),
        )
        for batch_id in BATCHES
    ]
    return [index.counts(), [*index.family_counts().items()], *of_each]


def test_whoever_comes_again_after_many_others_is_counted_too():
    state = State()
    one_by_one = Index(state)
    for task in tasks_of_many_batches():
        one_by_one.apply(task, encode_task(task))
    assert sum(one_by_one.counts().values()) == 12 * len(BATCHES)
    assert told(Index(state)) == told(one_by_one)


def test_a_batch_that_goes_while_its_tasks_are_counted_leaves_nothing_behind():
    index = Index(State())
    with index.counting_together():
        for stage in (Stage.WAITING, Stage.CANCELLED):
            for task in (task_record(number, stage) for number in (1, 2, 3)):
                index.apply(task, encode_task(task))
        for number in (1, 2, 3):
            gone = Meta(section=ARCHIVED, key=task_record(number).task_id, value=None)
            index.apply(gone, b"")
    assert {*index.counts().values()} == {0}
    assert {*index.family_counts()["图片合成"].values()} == {0}
    assert index.task_ids(task_record(1).batch_id) == []
