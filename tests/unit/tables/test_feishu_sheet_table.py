"""A sheet as a table: pictures in cells, rows that move, and what a spreadsheet does not take."""

import hashlib
import io

import pytest
from PIL import Image

from config.settings import Table as TableSettings
from daemon.feishu.client import Client
from daemon.feishu.quota import Quota
from daemon.tables.cells import Change, Level, Result, ResultFile
from daemon.tables.errors import InUse, Misconfigured
from daemon.tables.feishu_sheet import FeishuSheet
from daemon.words import Words
from tests.fakes.clock import JumpingClock
from tests.fakes.feishu import FakeFeishu, Picture

HEADINGS = ["产品名", "产品图", "任务ID", "状态", "错误信息", "输出图片", "输出图片2", "输出视频"]


@pytest.fixture
def clock():
    return JumpingClock()


@pytest.fixture
async def feishu(clock):
    async with FakeFeishu(clock) as feishu:
        yield feishu


@pytest.fixture
def book(feishu):
    book = feishu.book()
    book.sheets[0].grid = [list(HEADINGS), ["杯子", None, "img_1"], ["茶壶", None, "img_2"]]
    return book


@pytest.fixture
def client(feishu, clock, tmp_path):
    return Client(
        base_url=feishu.url,
        app_id=feishu.app_id,
        app_secret=feishu.app_secret,
        clock=clock,
        quota=Quota(tmp_path / "calls.json", clock),
    )


@pytest.fixture
async def open_table(client, book):
    def make(**settings):
        known = {"name": "t", "kind": "feishu-sheet", "url": f"https://x.cn/sheets/{book.token}"}
        return FeishuSheet(TableSettings(**{**known, **settings}), client)

    yield make
    await client.close()


@pytest.fixture
def table(open_table):
    return open_table()


def picture(tmp_path, colour, kind="PNG", number=1, token=None):
    content = io.BytesIO()
    Image.new("RGB", (6, 4), (colour, 0, 0)).save(content, kind)
    path = tmp_path / f"{colour}-{number}.{kind.lower()}"
    path.write_bytes(content.getvalue())
    return ResultFile(
        path=path,
        recorded=path.name,
        name=path.name,
        sha256=hashlib.sha256(content.getvalue()).hexdigest(),
        size_bytes=path.stat().st_size,
        number=number,
        token=token,
    )


def shown(book, row, heading):
    line = book.sheets[0].grid[row]
    place = HEADINGS.index(heading)
    return line[place] if place < len(line) else None


def told(key, **cells):
    return Change(row=key, cells=cells)


async def with_token(table, file, key):
    token = await table.upload(file, key, "output_image")
    return ResultFile(**{f: getattr(file, f) for f in file.__struct_fields__} | {"token": token})


async def test_pictures_of_a_row_go_into_its_columns_in_order_and_webp_becomes_png(
    table, book, feishu, tmp_path
):
    files = [
        await with_token(table, picture(tmp_path, 10, "WEBP", 1), "img_2"),
        await with_token(table, picture(tmp_path, 20, "PNG", 2), "img_2"),
    ]
    (outcome,) = await table.write([told("img_2", output_image=tuple(files), status="已完成")])
    assert outcome.result is Result.WRITTEN
    first, second = (shown(book, 2, name) for name in ("输出图片", "输出图片2"))
    assert isinstance(first, Picture)
    assert isinstance(second, Picture)
    assert feishu.drive.media[first.token].name.endswith(".png")
    assert feishu.count("sheets.image") == 2


async def test_a_picture_is_put_once_however_often_the_row_is_told(
    open_table, table, book, feishu, tmp_path
):
    file = await with_token(table, picture(tmp_path, 10), "img_1")
    change = told("img_1", output_image=(file,), status="已完成")
    await table.write([change])
    again = open_table()  # after a restart
    revision = book.revision
    await again.write([change])
    assert (book.revision, feishu.count("sheets.image")) == (revision, 1)
    assert await again.upload(picture(tmp_path, 10), "img_1", "output_image") == file.token
    assert feishu.count("sheets.image") == 1  # it was seen in its cell


async def test_a_picture_of_another_run_takes_the_place_of_the_old_one(
    table, book, feishu, tmp_path
):
    old = await with_token(table, picture(tmp_path, 10), "img_1")
    await table.write([told("img_1", output_image=(old,))])
    new = await with_token(table, picture(tmp_path, 99), "img_1")
    await table.write([told("img_1", output_image=(new,))])
    token = shown(book, 1, "输出图片").token
    assert feishu.drive.media[token].content == new.path.read_bytes()
    await table.write([told("img_1", output_image=None)])
    assert shown(book, 1, "输出图片") is None


async def test_a_picture_goes_where_its_row_is_now(table, book, tmp_path):
    await table.read()
    grid = book.sheets[0].grid
    grid.insert(1, ["新", None, None])
    grid[2], grid[3] = grid[3], grid[2]
    await table.upload(picture(tmp_path, 10), "img_2", "output_image")
    assert [line[0] for line in grid if any(isinstance(c, Picture) for c in line)] == ["茶壶"]
    assert await table.upload(picture(tmp_path, 10), "img_9", "output_image") == ""


async def test_a_video_is_a_link_where_one_is_known_and_else_its_path(table, book, tmp_path):
    path = tmp_path / "a.mp4"
    path.write_bytes(b"mp4")
    file = ResultFile(path=path, recorded="o/a.mp4", name="a.mp4", sha256="0" * 64, size_bytes=3)
    assert await table.upload(file, "img_1", "output_video") == ""
    await table.write([told("img_1", output_video=(file,))])
    assert shown(book, 1, "输出视频") == "o/a.mp4"
    linked = ResultFile(
        path=path,
        recorded="o/b.mp4",
        name="b.mp4",
        sha256="1" * 64,
        size_bytes=3,
        link="http://10.0.0.1/outputs/vid_1/0",
    )
    await table.write([told("img_1", output_video=(linked,))])
    assert shown(book, 1, "输出视频")["link"] == "http://10.0.0.1/outputs/vid_1/0"


async def test_pictures_in_cells_are_read_as_files_and_several_of_them_in_order(
    table, book, tmp_path
):
    content = io.BytesIO()
    Image.new("RGB", (3, 3)).save(content, "PNG")
    pictures = [book.picture(content.getvalue(), f"{n}.png") for n in range(2)]
    book.sheets[0].grid[1][1] = pictures
    (row, _) = (await table.read()).rows
    assert [file.token for file in row.files["product_image"]] == [p.token for p in pictures]
    await table.fetch(row.files["product_image"][0], row, "product_image", tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == content.getvalue()


@pytest.mark.parametrize("cuts_blanks", [True, False])
async def test_answers_with_and_without_blank_cells_at_the_end_mean_the_same(
    cuts_blanks, table, book
):
    book.cuts_blanks = cuts_blanks
    book.sheets[0].grid += [[None] * 8, [None] * 8]
    assert [row.key for row in (await table.read()).rows] == ["img_1", "img_2"]


async def test_a_sheet_is_chosen_by_title_and_a_wrong_one_is_told_with_those_there_are(
    open_table, book
):
    assert len((await open_table(sheet="表一").read()).rows) == 2
    with pytest.raises(Misconfigured, match="only: 表一"):
        await open_table(sheet="表二").read()
    book.sheets[0].resource_type = "bitable"
    with pytest.raises(Misconfigured, match="embedded Bitable"):
        await open_table().read()


async def test_a_text_that_is_too_long_refuses_its_row_only(table):
    long = told("img_1", error="x" * 50_001)
    outcomes = await table.write([long, told("img_2", error="x" * 50_000)])
    assert [o.result for o in outcomes] == [Result.REFUSED, Result.WRITTEN]


async def test_protected_cells_and_a_full_spreadsheet_pause_the_table(table, book, tmp_path):
    book.protected = True
    with pytest.raises(Misconfigured, match="protected"):
        await table.write([told("img_1", status="失败")])
    book.images = 4000
    with pytest.raises(Misconfigured, match="4,000"):
        await table.upload(picture(tmp_path, 10), "img_1", "output_image")


async def test_a_write_that_meets_anothers_is_tried_later(table, feishu):
    feishu.fail("sheets.write", 1315203, times=9)
    with pytest.raises(InUse):
        await table.write([told("img_1", status="失败")])


async def test_no_room_for_a_column_is_told_with_what_to_insert(table, book):
    book.sheets[0].grid[0] += [f"c{n}" for n in range(12)]
    with pytest.raises(Misconfigured, match="insert 1"):
        await table.add_columns(["command"])


async def test_a_large_sheet_is_read_in_portions(table, book, feishu):
    book.sheets[0].grid += [[f"p{n}", None, f"img_{n}"] for n in range(3, 1203)]
    feishu.fail("sheets.read", 90221)
    rows = (await table.read()).rows
    assert [rows[0].key, rows[-1].key, len(rows)] == ["img_1", "img_1202", 1202]


async def test_check_writes_below_the_last_row_on_request_only_and_empties_it(table, book, feishu):
    assert {f.level for f in await table.inspect()} == {Level.OK}
    assert feishu.count("sheets.write") == 0
    (*_, last) = await table.inspect(write_test=True)
    assert "通过" in last.trouble.text(Words("zh"))
    assert not any(book.sheets[0].grid[3])


@pytest.mark.parametrize("tells_ranges", [True, False])
async def test_a_picture_that_floats_above_its_cell_is_told_as_such(tells_ranges, table, book):
    content = io.BytesIO()
    Image.new("RGB", (3, 3)).save(content, "PNG")
    book.tells_float_ranges = tells_ranges
    book.sheets[0].floating.append(("B3", book.picture(content.getvalue(), "x.png")))
    await table.read()
    floating = await table.floating()
    if tells_ranges:
        assert floating == {"3": frozenset({"product_image"})}
    else:
        assert "product_image" in floating[""]


async def test_how_many_pictures_a_row_has_room_for_is_known_from_its_columns(table):
    assert table.room("output_image") is None  # it was not read yet
    await table.read()
    assert table.room("output_image") == 2
    assert table.room("output_video") is None
