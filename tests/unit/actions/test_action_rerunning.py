"""Rerun: a new batch from an old one."""

import pytest

from daemon.actions import rerunning
from daemon.actions.rerunning import Wish
from ledger.batch import BatchStatus
from ledger.status import Stage
from ledger.steps import at_once
from ledger.task import Dependency, InputFile, Metadata, Source
from tests.fakes.records import task_record
from tests.unit.actions.house import (
    BATCH,
    LATER,
    VIDEO,
    House,
    anywhere,
    nowhere,
    picture_made,
    row,
    video_of,
)

NEW = "spring-xyz789"
CUP = InputFile(name="cup.png", sha256="a" * 64, size_bytes=3)


@pytest.fixture
def house() -> House:
    return House()


def rerun(house: House, *, stage=None, changes=None, new_seed=False, batch_id=BATCH, **paths):
    wish = Wish(
        batch_id=NEW if batch_id == BATCH else f"{NEW}-2",
        at=LATER,
        stage=stage,
        changes=changes or {},
        new_seed=new_seed,
    )
    return at_once(rerunning.rerun(house.ledger, batch_id, wish, **paths))


async def two_rows(house: House, **batch: object) -> House:
    done = row(1, Stage.DONE, inputs={"image": CUP}, outputs=[picture_made()])
    failed = row(2, Stage.FAILED)
    return await house.open(
        done, video_of(done, 3, Stage.DONE), failed, video_of(failed, 4), **batch
    )


async def test_both_stages_run_anew_under_new_row_ids_linked_to_the_old_batch(
    house: House,
) -> None:
    await two_rows(house, status=BatchStatus.FAILED, options={"a": 1})
    before = list(house.ledger.tasks(BATCH))
    answer = await house.do(rerun(house))
    assert (answer["batch_id"], answer["rerun_of"], answer["stage"]) == (NEW, BATCH, 1)
    batch = house.ledger.batch(NEW)
    assert (batch.status, batch.rerun_of, batch.options) == ("running", BATCH, {"a": 1})
    new = list(house.ledger.tasks(NEW))
    assert [task.row_id for task in new] == [f"{NEW}:1", f"{NEW}:1", f"{NEW}:2", f"{NEW}:2"]
    assert all(task.stage is Stage.WAITING and task.version == 1 for task in new)
    assert len({task.task_id for task in new} | {task.task_id for task in before}) == 8
    assert all(task.root_task_id == task.task_id for task in new)
    needs = [task.depends_on for task in new if task.workflow_type == VIDEO]
    assert needs == [
        Dependency(row_id=f"{NEW}:1", workflow_type="图片合成"),
        Dependency(row_id=f"{NEW}:2", workflow_type="图片合成"),
    ]
    assert list(house.ledger.tasks(BATCH)) == before
    assert house.batch().status is BatchStatus.FAILED
    stands = answer["statistics"]
    assert isinstance(stands, dict)
    assert (stands["rows"], stands["total"], stands["pending"]) == (2, 4, 4)


async def test_stage_one_alone_makes_pictures_only(house: House) -> None:
    await two_rows(house)
    await house.do(rerun(house, stage=1))
    assert [task.depends_on for task in house.ledger.tasks(NEW)] == [None, None]


async def test_stage_two_alone_takes_the_pictures_of_the_old_batch_where_there_are_some(
    house: House,
) -> None:
    await two_rows(house)
    answer = await house.do(rerun(house, stage=2))
    (video,) = house.ledger.tasks(NEW)
    assert video.depends_on == Dependency(row_id=row(1).row_id, workflow_type="图片合成")
    assert (answer["stage"], answer["left_out"], house.ledger.batch(NEW).stage) == (2, 1, 2)
    again = await house.do(rerun(house, batch_id=NEW))
    (video_again,) = house.ledger.tasks(str(again["batch_id"]))
    assert video_again.depends_on == video.depends_on


async def test_rows_keep_the_seed_they_ran_with_unless_new_ones_are_wanted(house: House) -> None:
    drawn = row(1, Stage.DONE, parameters={"seed": 5})
    given = row(2, Stage.DONE, row={"seed": 6}, parameters={"seed": 6})
    failed = row(3, Stage.FAILED, parameters={"seed": 1}, retry_count=1)
    retried = task_record(
        4,
        Stage.DONE,
        row_id=failed.row_id,
        retried_from=failed.task_id,
        server="gpu-a",
        parameters={"seed": 8},
    )
    await house.open(drawn, given, failed, retried)
    await house.do(rerun(house))
    assert [task.row.get("seed") for task in house.ledger.tasks(NEW)] == [5, 6, 8]
    anew = Wish(batch_id="n-1", at=LATER, new_seed=True)
    await house.do(at_once(rerunning.rerun(house.ledger, BATCH, anew)))
    assert [task.row.get("seed") for task in house.ledger.tasks("n-1")] == [None] * 3


async def test_columns_are_changed_under_either_name_and_taken_out_by_null(house: House) -> None:
    await house.open(row(1, Stage.DONE, row={"prompt": "tea", "style": "old"}, product_name="杯"))
    changes = {"提示词": "coffee", "style": None, "产品名": "壶", "优先级": "3"}
    plan = rerun(house, changes=changes)
    await house.do(plan)
    (task,) = house.ledger.tasks(NEW)
    assert (task.row, task.product_name, task.priority) == ({"prompt": "coffee"}, "壶", 3)
    assert plan.evidence is not None
    assert plan.evidence["rerun_of"] == BATCH


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"image": "other.png"}, "400 rerun_picture_column"),
        ({"图片": "other.png"}, "400 rerun_picture_column"),
        ({"workflow_type": VIDEO}, "400 rerun_column"),
        ({"编号": 5}, "400 rerun_column"),
        ({"priority": "high"}, "400 rerun_priority"),
        ({"priority": 1.5}, "400 rerun_priority"),
        ({"priority": True}, "400 rerun_priority"),
        ({"priority": None}, "400 rerun_priority"),
        ({"priority": "--5"}, "400 rerun_priority"),
        ({"priority": "9" * 5000}, "400 rerun_priority"),
        ({"priority": 10**21}, "400 rerun_priority"),
        ({"seed": "abc"}, "400 rerun_seed"),
        ({"seed": 2**53}, "400 rerun_seed"),
        ({"seed": True}, "400 rerun_seed"),
        ({"seed": -1}, "400 rerun_seed"),
    ],
)
async def test_columns_that_cannot_be_changed_are_refused(
    house: House, changes: dict[str, object], code: str
) -> None:
    await two_rows(house)
    assert code in await house.refused(lambda: rerun(house, changes=changes))


@pytest.mark.parametrize("column", ["seed", "priority"])
async def test_a_value_that_is_refused_is_told_with_an_ellipsis_where_it_is_cut(
    house: House, column: str
) -> None:
    await two_rows(house)
    told = await house.refused(lambda: rerun(house, changes={column: "x" * 41}))
    assert f"'value': '{'x' * 39}…'" in told


async def test_nothing_to_run_and_an_unknown_stage_are_refused(house: House) -> None:
    await house.open(row(1, Stage.FAILED), video_of(row(1), 2))
    assert "409 rerun_nothing" in await house.refused(lambda: rerun(house, stage=2))
    assert "400 rerun_stage" in await house.refused(lambda: rerun(house, stage=3))


async def test_files_that_are_gone_are_named(house: House) -> None:
    await two_rows(house)
    told = await house.refused(lambda: rerun(house, input_path=nowhere, output_path=anywhere))
    assert told == "409 files_gone {'files': 'cup.png'}"
    told = await house.refused(
        lambda: rerun(house, stage=2, input_path=anywhere, output_path=nowhere)
    )
    assert told == "409 files_gone {'files': 'outputs/0001.png'}"


async def test_a_rerun_is_no_duplicate_and_no_reason_for_one(house: House) -> None:
    source = Source(kind="inbox", name="spring.csv", line=1, fingerprint="f1")
    await house.open(row(1, Stage.DONE, metadata=Metadata(source=source)))
    await house.do(rerun(house))
    (task,) = house.ledger.tasks(NEW)
    assert task.metadata.source == Source(kind="inbox", name="spring.csv", line=1)
