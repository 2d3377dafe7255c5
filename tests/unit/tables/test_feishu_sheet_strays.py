"""Rows of a sheet that move while it is written to: every cell ends up in the row it is meant for."""

import msgspec
import pytest
from PIL import Image

from daemon.tables.cells import Change, Result, ResultFile
from daemon.tables.errors import Unreachable
from daemon.tables.feishu_sheet import ATTEMPTS
from tests.fakes.feishu_users import SheetUser

HEADINGS = ("编号", "产品名", "任务ID", "状态", "错误信息", "输出图片")
ROWS = [
    {"编号": "3", "产品名": "杯子", "任务ID": "img_1", "状态": "失败", "错误信息": "没有内存"},
    {"编号": "2", "产品名": "茶壶", "任务ID": "img_2", "状态": "在处理中"},
    {"编号": "1", "产品名": "碗", "任务ID": "img_3"},
]
NEW = {"编号": "9", "产品名": "新的"}


@pytest.fixture
async def user(tmp_path):
    user = SheetUser(tmp_path / "document")
    await user.start()
    user.fill(HEADINGS, ROWS)
    yield user
    await user.stop()


def insert_column(user: SheetUser) -> None:
    for number, line in enumerate(user.grid):
        line.insert(0, None if number else "新列")
    user.book.revision += 1


MOVES = {
    "inserted above": lambda user: user.insert(0, NEW),
    "sorted": lambda user: user.sort("编号"),
    "deleted": lambda user: user.delete(0),
    "a column before": insert_column,
}


@pytest.mark.parametrize("move", MOVES)
async def test_what_is_written_while_rows_move_reaches_its_row_and_no_other(user, move):
    table = user.open()
    user.feishu.meanwhile("sheets.write", lambda: MOVES[move](user))
    told = {"img_2": {"status": "已完成", "error": None}, "img_1": {"status": "已取消"}}
    changes = [Change(row=key, cells=cells) for key, cells in told.items()]
    results = [outcome.result for outcome in await table.write(changes)]
    is_gone = move == "deleted"
    assert results == [Result.WRITTEN, Result.GONE if is_gone else Result.WRITTEN]
    rows = {row["任务ID"]: (row["状态"], row["错误信息"]) for row in user.rows()}
    new = rows.pop("", None)
    assert new in (None, ("", ""))
    expected = {"img_1": ("已取消", "没有内存"), "img_2": ("已完成", ""), "img_3": ("", "")}
    assert rows == {key: expected[key] for key in rows}
    assert len(rows) == 3 - is_gone
    await table.close()


async def test_a_row_that_moves_under_every_write_is_not_said_to_be_told(user):
    table = user.open()
    writes = 0

    def move() -> None:
        nonlocal writes
        writes += 1
        if writes % 2:  # every other one puts right what went astray
            user.insert(0, NEW)
        user.feishu.meanwhile("sheets.write", move)

    user.feishu.meanwhile("sheets.write", move)
    with pytest.raises(Unreachable):
        await table.write([Change(row="img_2", cells={"status": "已完成"})])
    assert writes == 2 * ATTEMPTS
    told = {row["任务ID"]: row["状态"] for row in user.rows()}
    assert told == {"": "", **{row["任务ID"]: row.get("状态", "") for row in ROWS}}
    await table.close()


async def test_an_id_is_not_written_over_that_of_a_row_that_moved_there(user):
    user.insert(0, NEW)
    table = user.open()
    row = (await table.read_all()).rows[0]
    user.feishu.meanwhile("sheets.write", lambda: user.sort("编号"))
    (outcome,) = await table.write([Change(row=row, cells={"task_id": "img_9"})])
    assert outcome.result is Result.WRITTEN
    assert {each["产品名"]: each["任务ID"] for each in user.rows()} == {
        **{each["产品名"]: each["任务ID"] for each in ROWS},
        "新的": "img_9",
    }
    await table.close()


@pytest.fixture
def picture(tmp_path):
    path = tmp_path / "a.png"
    Image.new("RGB", (4, 4)).save(path)
    return ResultFile(path=path, recorded="a.png", name="a.png", sha256="0" * 64, size_bytes=1)


async def test_a_picture_that_a_row_has_lost_is_put_into_it_though_it_moves(user, picture):
    table = user.open()
    user.feishu.meanwhile("sheets.image", lambda: user.insert(0, NEW))
    await table.write([Change(row="img_2", cells={"output_image": (picture,)})])
    assert [bool(row["输出图片"]) for row in user.rows()] == [False, False, True, False]
    await table.close()


async def test_what_was_refused_takes_nothing_from_the_row_that_moved_there(user, picture):
    gone = msgspec.structs.replace(picture, path=picture.path.with_name("gone.png"))
    table = user.open()
    assert await table.upload(picture, "img_1", "output_image")
    user.feishu.meanwhile("sheets.write", lambda: user.sort("编号"))  # now in the line of img_3
    changes = [
        Change(row="img_3", cells={"output_image": (gone,)}),
        Change(row="img_2", cells={"status": "已完成"}),
    ]
    results = [outcome.result for outcome in await table.write(changes)]
    assert results == [Result.REFUSED, Result.WRITTEN]
    assert [bool(row["输出图片"]) for row in user.rows()] == [False, False, True]
    await table.close()


async def test_a_picture_reaches_its_row_when_that_moves_while_it_is_sent(user, picture):
    table = user.open()
    user.feishu.meanwhile("sheets.image", lambda: user.insert(0, NEW))
    assert await table.upload(picture, "img_2", "output_image")
    assert [bool(row["输出图片"]) for row in user.rows()] == [False, False, True, False]
    await table.close()


async def test_as_long_as_nobody_changes_the_sheet_no_call_is_spent_on_looking_again(user):
    table = user.open()
    await table.write([Change(row="img_2", cells={"status": "已完成", "error": "x"})])
    assert user.feishu.count("sheets.read") == 1
    await table.close()
