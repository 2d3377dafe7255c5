"""Rows without an id, beside what the ledger took before: which are old ones, which are new."""

from datetime import timedelta

import pytest

from config.settings import Settings
from daemon.intake.restoring import Restoration
from daemon.intake.table_rows import TableRows
from daemon.tables.handle import handles_of
from daemon.tables.overwritten import Overwritten, overwritten_rows
from ledger.ledger import Ledger
from ledger.memory import MemoryBackend
from ledger.status import Stage
from ledger.task import Metadata, Publish, Source, TableRow
from ledger.timestamps import to_timestamp
from tests.fakes.clock import JumpingClock
from tests.fakes.file_users import CsvUser
from tests.fakes.records import AT, batch_record, task_record

WEEK_BEFORE, LONG_BEFORE = "2026-11-15T00:00:00.000Z", "2026-11-14T00:00:00.000Z"
ARCHIVED = ["img_20261121_000001", "img_20261121_000002"]
TAKEN = {
    "茶壶": {"stage": Stage.DONE},
    "茶杯": {"stage": Stage.DONE, "updated_at": LONG_BEFORE},
    "碗": {"stage": Stage.FAILED},
    "盘": {"stage": Stage.FAILED, "publish": Publish(state="pending")},
    "瓶": {"stage": Stage.DONE, "replaced_by": "img_20261121_000009"},
}


@pytest.fixture
async def sorted_by(tmp_path):
    """Sort a table of (product, 任务ID) by the ledger that took TAKEN in an earlier process."""
    user, clock, ledger = CsvUser(tmp_path), JumpingClock(), Ledger(MemoryBackend())
    await ledger.open()
    source = Source(kind="table", name="table")
    await ledger.commit(batch_record(source=source), op="batch.accepted")
    for number, (name, given) in enumerate(TAKEN.items(), start=1):
        place = TableRow(
            table="table",
            key=f"img_20261121_{number:06}",
            workflow_types=("图片合成",),
            replaced_by=given.get("replaced_by"),
        )
        known = Metadata(table_row=place, feishu_row_data={"product_name": name})
        fields = {"publish": Publish(state="published"), "metadata": known} | given
        fields.pop("replaced_by", None)
        await ledger.commit(task_record(number, **fields), op="batch.accepted")

    async def sort(*rows):
        headings = ("产品名", "任务ID", "状态")
        user.fill(headings, [dict(zip(headings, row, strict=False)) for row in rows])
        table = user.open()
        (handle,) = handles_of([table], Settings(tables=(user.settings,)), ledger, clock)
        found = TableRows(handle, ledger, {}, clock)
        await found.expect_taken(WEEK_BEFORE)
        wants = await found.sort(await table.read_all(), (), AT)
        await table.close()
        robbed = {row.text("product_name"): task_id[-1] for row, task_id in wants.robbed}
        return robbed, [row.text("product_name") for row in wants.ready]

    yield sort
    await ledger.close()


async def test_rows_that_were_done_lately_or_not_told_get_their_ids_back_and_others_run(sorted_by):
    robbed, ready = await sorted_by(*([name] for name in TAKEN))
    assert robbed == {"茶壶": "1", "盘": "4"}
    assert ready == ["茶杯", "碗", "瓶"]


async def test_a_row_alike_one_that_stands_is_new_and_of_two_alike_one_that_went_one_is(sorted_by):
    first = ["茶壶", "img_20261121_000001", "已完成"]
    assert await sorted_by(first, ["茶壶"]) == ({}, ["茶壶"])
    assert await sorted_by(["茶壶"], ["茶壶"]) == ({"茶壶": "1"}, ["茶壶"])


@pytest.fixture
async def archived(tmp_path):
    """A table whose two rows have ended and are archived, with what sorts it; and an older copy."""
    user, clock, ledger = CsvUser(tmp_path), JumpingClock(), Ledger(MemoryBackend())
    await ledger.open()
    await ledger.commit(batch_record(), op="batch.accepted")
    names = dict(zip(ARCHIVED, ("茶壶", "茶杯"), strict=True))
    for number, (key, name) in enumerate(names.items(), start=1):
        place = TableRow(table="table", key=key, workflow_types=("图片合成",))
        known = Metadata(table_row=place, feishu_row_data={"product_name": name})
        fields = {"publish": Publish(state="published"), "metadata": known, "finished_at": AT}
        await ledger.commit(task_record(number, Stage.DONE, **fields), op="batch.accepted")
    user.fill(("产品名", "任务ID", "状态"), [{"产品名": name} for name in names.values()])
    older = user.path.read_bytes()
    for number, key in enumerate(names):
        user.edit(number, "任务ID", key)
        user.edit(number, "状态", "已完成")
    table = user.open()
    (handle,) = handles_of([table], Settings(tables=(user.settings,)), ledger, clock)
    rows = TableRows(handle, ledger, {}, clock)

    async def sort():
        return await rows.sort(await table.read_all(), (), AT)

    assert (await sort()).reports == []
    assert await ledger.archive_finished(clock.now() + timedelta(days=60)) == len(names)
    yield user, sort, Restoration(handle, rows, ledger), older
    assert overwritten_rows(ledger, "table") == []  # nobody would ever remove such notes
    await table.close()
    await ledger.close()


async def test_rows_that_lose_their_ids_after_they_were_archived_get_them_back_and_do_not_run(
    archived,
):
    user, sort, restoration, older = archived
    user.path.write_bytes(older)
    wants = await sort()
    assert [task_id for _, task_id in wants.robbed] == ARCHIVED
    assert wants.ready == []
    await restoration.restore(wants)
    assert [row["任务ID"] for row in user.rows()] == ARCHIVED
    assert (await sort()).ready == []


async def test_a_changed_copy_above_an_archived_row_is_told_to_be_the_copy(archived):
    user, sort, *_ = archived
    user.insert(0, {"产品名": "茶盘", "任务ID": ARCHIVED[0], "状态": "已完成"})
    wants = await sort()
    assert [(row.text("product_name"), why.code) for row, why in wants.reports] == [
        ("茶盘", "copied")
    ]
    assert [note.key for note in wants.copies] == [f"table:{ARCHIVED[0]}"]


async def test_a_row_whose_end_an_older_copy_took_away_before_we_saw_it_is_told_anew_each_time(
    tmp_path,
):
    user, clock, ledger = CsvUser(tmp_path), JumpingClock(), Ledger(MemoryBackend())
    await ledger.open()
    key = "img_20261121_000001"
    place = TableRow(table="table", key=key, workflow_types=("图片合成",))
    known = Metadata(table_row=place, feishu_row_data={"产品名": "茶壶"})
    task = task_record(1, metadata=known, publish=Publish(state="pending"))
    await ledger.commit(batch_record(), task, op="batch.accepted")
    user.fill(("产品名", "任务ID", "状态", "完成时间"), [{"任务ID": key, "状态": "在处理中"}])
    table = user.open()
    (handle,) = handles_of([table], Settings(tables=(user.settings,)), ledger, clock)
    found, reading = TableRows(handle, ledger, {}, clock), await table.read_all()
    at = to_timestamp(clock.now() + timedelta(hours=1))
    assert (await found.sort(reading, (), at)).overwritten == []
    for stage in (Stage.SUBMITTING, Stage.QUEUED, Stage.RUNNING, Stage.COLLECTING, Stage.DONE):
        await ledger.commit(ledger.task(key).moved(stage, at=AT), op="task.moved")
    told = ledger.task(key).changed(at=AT, publish=Publish(state="published"))
    await ledger.commit(told, op="task.published")
    note = Overwritten(table="table", key=key, task_id=key)
    for _ in range(2):
        ((row, _),) = (await found.sort(reading, (), at)).overwritten
        assert row.key == key
        await ledger.commit(note.as_meta(), op="row.overwritten")
        assert (await found.sort(reading, (), at)).overwritten == []
        await ledger.commit(note.as_meta(stands=False), op="row.told")
    await table.close()
    await ledger.close()
