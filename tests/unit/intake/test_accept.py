import asyncio
import time
from collections import Counter

import orjson
import pytest

from daemon.intake.candidates import Drop
from daemon.intake.errors import Postponed
from daemon.intake.jobfile import object_row
from daemon.words import Words
from ledger.entry import Meta
from ledger.errors import LedgerClosed
from ledger.jsondir.store import JsonDirBackend
from ledger.status import Stage
from ledger.task import Dependency
from ledger.timestamps import to_timestamp
from tests.unit.intake.house import House


@pytest.fixture
def rows(house):
    house.draw("p.png", "green")
    house.draw("m.png", "blue")
    return [
        {"product_name": f"壶{n}", "product_image": "p.png", "model_image": "m.png"}
        for n in range(3)
    ]


def drop(house, rows, name="spring.csv", **more) -> Drop:
    raw = tuple(object_row(n, values, {}) for n, values in enumerate(rows, 1))
    return Drop(name=name, rows=raw, pictures_in=house.path, **more)


async def test_good_rows_become_tasks_of_one_batch_in_one_transaction(house, rows):
    rows[1]["workflow_type"] = "图片合成+图生视频"
    rows[2].update(row_number="67", priority="9", prompt="春天", 备注="x")
    receipt = await house.intake.accept(drop(house, rows, options={"note": 1}))
    assert receipt.accepted_rows == 3
    assert len(house.backend.transactions) == 1
    batch = house.ledger.batch(receipt.batch_id)
    assert batch.batch_id.startswith("spring-")
    assert (batch.name, batch.source.kind, batch.options) == ("spring.csv", "inbox", {"note": 1})
    tasks = house.tasks()
    assert [task.task_id for task in tasks] == list(receipt.task_ids)
    day = to_timestamp(house.clock.now())[:10].replace("-", "")
    assert sorted(receipt.task_ids) == [
        *(f"img_{day}_{n:06d}" for n in (1, 2, 3)),
        f"vid_{day}_000001",
    ]
    last = tasks[-1]
    assert (last.row_number, last.priority, last.row) == (67, 9, {"prompt": "春天", "备注": "x"})
    assert last.row_id == f"{batch.batch_id}:3"
    assert {key: file.name for key, file in last.inputs.items()} == {
        "product_image": "p.png",
        "model_image": "m.png",
    }
    assert all(house.contents.path_of(f.sha256).exists() for f in last.inputs.values())
    assert last.root_task_id == last.task_id
    assert last.metadata.source.line == 3
    assert all(task.stage is Stage.WAITING and task.version == 1 for task in tasks)


async def test_the_second_stage_waits_for_the_first_one_of_its_row(house, rows):
    rows[0]["workflow_type"] = "图片合成+图生视频"
    receipt = await house.intake.accept(drop(house, rows[:1]))
    first, second = house.tasks()
    assert first.depends_on is None
    assert second.depends_on == Dependency(row_id=first.row_id, workflow_type="图片合成")
    assert second.inputs == {}
    assert second.row_id == first.row_id == f"{receipt.batch_id}:1"


async def test_bad_rows_are_rejected_and_do_not_stop_good_ones(house, rows):
    rows[1]["model_image"] = "gone.png"
    rows[2]["workflow_type"] = "画画"
    receipt = await house.intake.accept(drop(house, rows))
    assert receipt.accepted_rows == 1
    assert [row.line for row in receipt.rejected] == [2, 3]
    assert receipt.rejected[0].text(Words("en")) == "“model_image” “gone.png”: it is not there"
    assert receipt.rejected[0].text(Words("zh")) == "模特图 (model_image) “gone.png”：文件不存在"
    assert receipt.rejected[0].values == rows[1]


async def test_equal_rows_of_one_drop_all_run_and_the_same_drop_again_is_all_duplicates(
    house, rows
):
    equal = [rows[0], rows[0]]
    assert (await house.intake.accept(drop(house, equal))).accepted_rows == 2
    again = await house.intake.accept(drop(house, [*equal, rows[0], rows[1]]))
    assert again.accepted_rows == 2, "a third equal row and a new one"
    assert [row.line for row in again.duplicates] == [1, 2]


async def test_of_two_equal_drops_at_the_same_time_one_is_the_duplicate(house, rows):
    receipts = await asyncio.gather(*(house.intake.accept(drop(house, rows)) for _ in range(4)))
    assert Counter(each.accepted_rows for each in receipts) == {3: 1, 0: 3}
    assert len(house.tasks()) == 3


async def test_a_picture_of_the_same_name_with_other_bytes_makes_a_new_row(house, rows):
    await house.intake.accept(drop(house, rows))
    house.draw("p.png", "yellow")
    assert (await house.intake.accept(drop(house, rows))).accepted_rows == 3


async def test_archived_rows_stay_known_when_what_tells_of_them_is_written_over(tmp_path):
    house = House(tmp_path, JsonDirBackend(tmp_path / "ledger"))
    await house.ledger.open()
    house.draw("p.png", "green")
    rows = [{"product_name": "壶", "product_image": "p.png", "model_image": "p.png"}]
    await house.intake.accept(drop(house, rows))
    ended = (each.moved(Stage.FAILED, at="2020-01-01T00:00:00.000Z") for each in house.tasks())
    await house.ledger.commit(*ended, op="task.failed")
    assert await house.ledger.archive_finished(house.clock.now()) == 1
    (tmp_path / "ledger" / "archive" / "fingerprints.jsonl").write_bytes(b"")
    for _ in range(2):
        assert (await house.intake.accept(drop(house, rows))).accepted_rows == 0
    await house.ledger.close()


@pytest.mark.parametrize(
    ("name", "options"), [("a.rerun.csv", {}), ("A.RERUN.json", {}), ("a.csv", {"rerun": True})]
)
async def test_a_rerun_runs_everything(house, rows, name, options):
    await house.intake.accept(drop(house, rows))
    assert (await house.intake.accept(drop(house, rows, name, options=options))).accepted_rows == 3


async def test_a_drop_without_a_good_row_makes_no_batch_and_says_its_verdict_in_one_transaction(
    house,
):
    async def also(receipt):
        return [Meta(section="drops", key=receipt.batch_id, value=len(receipt.rejected))]

    receipt = await house.intake.accept(drop(house, [{"product_name": "x"}]), also)
    assert [*house.ledger.batches()] == []
    assert house.ledger.meta("drops") == {receipt.batch_id: 1}
    assert (await house.intake.accept(drop(house, []))).accepted_rows == 0


async def test_names_with_slashes_nul_and_300_characters_are_kept_and_refuse_nothing(house, rows):
    rows[0]["product_name"] = "a/b\0c"
    rows[1]["product_name"] = "很" * 300
    rows[2]["product_name"] = "x\udcff\x07"
    receipt = await house.intake.accept(drop(house, rows, name="b\udcff\0d.csv"))
    assert receipt.accepted_rows == 3
    names = [task.product_name for task in house.tasks()]
    assert names == ["a/b\0c", "很" * 300, "x\ufffd\x07"]
    assert orjson.dumps([*names, house.ledger.batch(receipt.batch_id).name])


async def test_a_ledger_that_takes_nothing_leaves_the_drop_for_later(house, rows):
    house.backend.fail(OSError("disk full"))
    with pytest.raises(LedgerClosed):
        await house.intake.accept(drop(house, rows))
    await house.ledger.reopen()
    assert (await house.intake.accept(drop(house, rows))).accepted_rows == 3


async def test_a_full_disk_is_nobody_s_fault_in_the_drop(house, rows):
    house.inputs.path.write_text("in the way")
    with pytest.raises(Postponed):
        await house.intake.accept(drop(house, rows))
    assert house.tasks() == []


async def test_ten_thousand_rows_are_accepted_without_holding_up_the_loop(house, rows):
    many = [{**rows[0], "prompt": str(n)} for n in range(10_000)]
    longest = 0.0

    async def watch() -> None:
        nonlocal longest
        while True:
            before = time.thread_time()  # the loop's own work: a machine of others may stand still
            await asyncio.sleep(0)
            longest = max(longest, time.thread_time() - before)

    watching = asyncio.ensure_future(watch())
    receipt = await house.intake.accept(drop(house, many))
    watching.cancel()
    assert receipt.accepted_rows == 10_000
    assert longest < 0.1, "generous: processors differ"
