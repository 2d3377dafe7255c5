"""Bitable, Sheets and wiki: what is read and written is what the documentation says."""

import asyncio
import io

import pytest
from PIL import Image

from daemon.feishu.bitable import Bitable, Condition, Conditions, Filter, tables_of
from daemon.feishu.errors import FeishuError
from daemon.feishu.sheets import Spreadsheet, cell, column_letters
from daemon.feishu.wiki import Document, NoDocument, read_link, resolve
from tests.fakes.feishu import Column
from tests.fakes.feishu.sheets import number_of


@pytest.fixture
def base(feishu):
    columns = [Column("产品名"), Column("状态", 3, ["待处理", "已完成"]), Column("数", 2)]
    return feishu.base(columns)


@pytest.fixture
def table(client, base):
    return Bitable(client, base.app, base.table)


async def test_a_search_returns_all_pages_of_what_passes_the_filter(base, table, feishu):
    for n in range(1201):
        base.add({"产品名": f"p{n}", "状态": "已完成" if n % 3 == 0 else "待处理"})
    base.add({"产品名": "empty"})
    where = Filter(
        "or",
        (
            Conditions("or", (Condition("状态", "isEmpty"),)),
            Conditions("and", (Condition("状态", "isNot", ("已完成",)),)),
        ),
    )
    records = await table.search(["产品名", "状态"], where)
    assert len(records) == 801
    assert records[-1].fields == {"产品名": [{"type": "text", "text": "empty"}]}
    assert feishu.count("bitable.search") == 2


async def test_a_page_that_went_stale_begins_the_search_anew(base, table):
    for n in range(1200):
        base.add({"产品名": f"p{n}"})
    base.stale_pages = 1
    records = await table.search(["产品名"])
    assert len({record.record_id for record in records}) == len(records) == 1200


async def test_a_page_that_is_too_large_is_asked_for_in_smaller_ones(base, table):
    for n in range(300):
        base.add({"产品名": f"p{n}"})
    base.largest_page = 130
    assert len(await table.search(["产品名"])) == 300


async def test_writes_to_one_document_never_meet(base, table, feishu):
    rows = [base.add({"产品名": "a"}) for _ in range(12)]
    feishu.write_seconds = 0.01
    await asyncio.gather(*(table.update({row.record_id: {"数": n}}) for n, row in enumerate(rows)))
    assert [row.cells[base.columns[2].field_id] for row in rows] == list(range(12))
    assert {call.code for call in feishu.calls if call.name == "bitable.update"} == {0}


async def test_records_are_found_by_id_and_absent_ones_left_out(base, table):
    rows = [base.add({"产品名": f"p{n}"}) for n in range(150)]
    got = await table.get([*(row.record_id for row in rows), "recgone"])
    assert set(got) == {row.record_id for row in rows}


async def test_a_batch_is_taken_whole_or_not_at_all(base, table):
    row = base.add({"产品名": "a"})
    with pytest.raises(FeishuError) as caught:
        await table.update({row.record_id: {"产品名": "b"}, "recgone": {"产品名": "b"}})
    assert caught.value.about == "row_gone"
    assert base.read(row, base.columns)["产品名"] == [{"type": "text", "text": "a"}]


async def test_the_tables_of_a_base_are_listed(client, base):
    assert [each.table_id for each in await tables_of(client, base.app)] == [base.table]


async def test_a_sheet_is_read_and_single_cells_are_written(client, feishu):
    book = feishu.book()
    (sheet,) = book.sheets
    sheet.grid = [["产品名", "状态"], ["T恤", None], [None, "x"]]
    spreadsheet = Spreadsheet(client, book.token)
    (found,) = await spreadsheet.sheets()
    assert (found.sheet_id, found.title) == (sheet.sheet_id, "表一")
    await spreadsheet.write({cell(sheet.sheet_id, 2, 27): "中", cell(sheet.sheet_id, 3, 1): ""})
    read = await spreadsheet.read(f"{sheet.sheet_id}!A1:AB3")
    assert read[1] == ["T恤", *[None] * 26, "中"]
    assert read[2:] == []


async def test_a_picture_goes_into_a_cell_and_webp_is_refused(client, feishu):
    book = feishu.book()
    (sheet,) = book.sheets
    spreadsheet = Spreadsheet(client, book.token)
    for kind, is_taken in (("PNG", True), ("WEBP", False)):
        content = io.BytesIO()
        Image.new("RGB", (4, 3)).save(content, kind)
        place = cell(sheet.sheet_id, 2, 1)
        try:
            await spreadsheet.write_image(place, content.getvalue(), f"a.{kind.lower()}")
        except FeishuError:
            assert not is_taken
        else:
            assert is_taken
    assert sheet.grid[1][1].width == 4


@pytest.mark.parametrize("index", [0, 25, 26, 27, 701, 702, 18277])
def test_column_letters_go_past_z(index):
    assert number_of(column_letters(index)) == index


@pytest.mark.parametrize(
    ("link", "document"),
    [
        (
            "https://x.feishu.cn/base/bas1?table=tbl1&view=vew1",
            Document("bitable", "bas1", "tbl1", "vew1"),
        ),
        ("https://x.feishu.cn/sheets/sht1?sheet=abc", Document("sheet", "sht1", "abc")),
        (" https://x.larksuite.com/wiki/wik1?table=tbl1\n", Document("wiki", "wik1", "tbl1")),
    ],
)
def test_a_link_from_the_browser_names_its_document(link, document):
    assert read_link(link) == document


@pytest.mark.parametrize("link", ["", "https://x.feishu.cn/docx/abc", "https://x.feishu.cn/base/"])
def test_a_link_to_something_else_is_refused(link):
    with pytest.raises(NoDocument):
        read_link(link)


async def test_a_wiki_page_leads_to_its_document(client, feishu):
    node = feishu.wiki("bitable", "bas1")
    found = await resolve(client, Document("wiki", node, "tbl1"))
    assert found == Document("bitable", "bas1", "tbl1")
    with pytest.raises(NoDocument, match="docx"):
        await resolve(client, Document("wiki", feishu.wiki("docx", "doc1")))
