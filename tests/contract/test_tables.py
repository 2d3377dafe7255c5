"""One suite over every kind of table: what ``daemon/tables/table.py`` promises."""

import pytest

from daemon.tables.cells import Change, Level, Result, Row
from daemon.tables.columns import missing_keys
from daemon.tables.errors import InUse, Misconfigured
from daemon.tables.table import Table

HEADINGS = ("编号", "产品名", "提示词", "任务ID", "状态", "错误信息", "备注")
ROWS = [{"编号": str(n), "产品名": f"茶壶{n}", "备注": f'"{n}", a\nb'} for n in (1, 2, 3)]


@pytest.fixture
async def table(user):
    user.fill(HEADINGS, ROWS)
    table = user.open()
    yield table
    await table.close()


async def read(table: Table) -> tuple[Row, ...]:
    return (await table.read_all()).rows


def said(row: Row | str, **cells: str) -> Change:
    return Change(row=row, cells=cells)


async def keyed(table: Table) -> list[str]:
    """Give every row a 任务ID; returns the keys in the order of the table."""
    rows = await read(table)
    marks = [said(row, task_id=f"img_{n}") for n, row in enumerate(rows, 1)]
    assert {o.result for o in await table.write(marks)} == {Result.WRITTEN}
    return [row.key for row in await read(table)]


async def test_rows_are_read_by_what_their_headings_mean(table):
    reading = await table.read()
    assert [row.text("product_name") for row in reading.rows] == ["茶壶1", "茶壶2", "茶壶3"]
    assert [row.text("row_number") for row in reading.rows] == ["1", "2", "3"]
    assert [row.cells["备注"] for row in reading.rows] == [row["备注"] for row in ROWS]
    assert missing_keys(reading.columns) == []
    assert "prompt" not in reading.rows[0].cells


async def test_an_unchanged_table_is_told_as_such_and_a_changed_one_is_read(table, user):
    seen = (await table.read()).revision
    assert await table.read(seen) is None
    user.edit(1, "提示词", "蓝色")
    again = await table.read(seen)
    assert again.rows[1].text("prompt") == "蓝色"
    assert await table.read(again.revision) is None


async def test_a_row_is_found_by_its_key_after_others_were_inserted_sorted_and_deleted(table, user):
    keys = await keyed(table)
    user.insert(0, {"产品名": "杯子"})
    user.sort("编号", reverse=True)
    user.delete(next(n for n, row in enumerate(user.rows()) if row["编号"] == "1"))
    found = await table.find(keys)
    assert [row.text("product_name") for row in found] == ["茶壶3", "茶壶2"]
    outcomes = await table.write([said(key, status="已完成") for key in keys])
    assert [outcome.result for outcome in outcomes] == [Result.GONE, Result.WRITTEN, Result.WRITTEN]
    assert {row["产品名"]: row["状态"] for row in user.rows()} == {
        "杯子": "",
        "茶壶2": "已完成",
        "茶壶3": "已完成",
    }


async def test_a_row_that_changed_since_it_was_read_is_not_written(table, user):
    rows = await read(table)
    user.edit(1, "提示词", "蓝色")
    outcomes = await table.write([said(row, task_id=f"img_{n}") for n, row in enumerate(rows)])
    assert [outcome.result for outcome in outcomes] == [
        Result.WRITTEN,
        Result.MOVED,
        Result.WRITTEN,
    ]
    assert [row["任务ID"] for row in user.rows()] == ["img_0", "", "img_2"]


async def test_a_row_that_moved_since_it_was_read_is_written_where_it_is_now(table, user):
    rows = await read(table)
    user.sort("编号", reverse=True)
    await table.write([said(rows[0], task_id="img_1")])
    assert {row["编号"]: row["任务ID"] for row in user.rows()} == {"1": "img_1", "2": "", "3": ""}


async def test_rows_that_look_alike_get_a_key_each(table, user):
    user.fill(HEADINGS, [{"产品名": "茶壶"}] * 3)
    assert len(set(await keyed(table))) == 3


async def test_no_other_cell_is_touched_and_what_others_wrote_stays(table, user):
    keys = await keyed(table)
    user.edit(0, "备注", "别动")
    await table.write([said(keys[0], status="已完成", error="a\n“b”, =c")])
    row = user.rows()[0]
    assert (row["备注"], row["状态"], row["错误信息"]) == ("别动", "已完成", "a\n“b”, =c")
    assert user.rows()[1]["备注"] == ROWS[1]["备注"]


async def test_the_same_changes_again_write_nothing(table):
    keys = await keyed(table)
    changes = [said(key, status="已完成") for key in keys]
    await table.write(changes)
    seen = (await table.read()).revision
    assert {o.result for o in await table.write(changes)} == {Result.WRITTEN}
    assert await table.read(seen) is None


async def test_a_cell_is_emptied_by_none(table, user):
    (key, *_) = await keyed(table)
    await table.write([said(key, error="x")])
    await table.write([Change(row=key, cells={"error": None})])
    assert user.rows()[0]["错误信息"] == ""


async def test_columns_that_the_table_lacks_are_left_out(table, user):
    (key, *_) = await keyed(table)
    await table.write([said(key, status="失败", output_video="a.mp4")])
    assert user.rows()[0]["状态"] == "失败"
    assert list(user.rows()[0]) == list(HEADINGS)


async def test_missing_columns_are_added_once(table, user):
    await table.add_columns(["status", "started_at", "command"])
    await table.add_columns(["started_at", "command"])
    assert list(user.rows()[0]) == [*HEADINGS, "开始时间", "命令"]
    (key, *_) = await keyed(table)
    await table.write([said(key, started_at="2026-11-25 10:00:00")])
    assert user.rows()[0]["开始时间"] == "2026-11-25 10:00:00"


async def test_two_headings_of_one_meaning_are_refused_with_both_their_names(table, user):
    user.rename("备注", "任务状态")
    with pytest.raises(Misconfigured, match="“状态”, “任务状态”"):
        await table.read()


async def test_a_table_that_is_open_elsewhere_is_read_but_not_written(table, user):
    rows = await read(table)
    user.unwritable()
    with pytest.raises(InUse):
        await table.write([said(rows[0], status="失败")])
    assert len(await read(table)) == 3
    user.writable()
    assert (await table.write([said(rows[0], status="失败")]))[0].result is Result.WRITTEN


async def test_check_names_what_is_missing(table, user):
    assert {finding.level for finding in await table.inspect()} == {Level.OK}
    user.rename("任务ID", "编码")
    (finding,) = [f for f in await table.inspect() if f.level is Level.FAIL]
    assert finding.trouble.values["columns"] == ("任务ID",)
