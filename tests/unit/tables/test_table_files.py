"""Table files keep every byte that is not ours, and what others save meanwhile."""

import contextlib
import io
import shutil
import subprocess
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Thread

import openpyxl
import pytest
from openpyxl.drawing.image import Image as Anchored
from openpyxl.styles import Font
from PIL import Image

from config.settings import Table as TableSettings
from daemon import failpoint
from daemon.tables.cells import Change, Result
from daemon.tables.errors import InUse, Misconfigured
from daemon.tables.opening import open_tables
from daemon.tables.replacing import replace_unless_changed
from daemon.tables.table import Table

HEADINGS = "产品名,状态,备注"


def table_of(path: Path, **more: object) -> Table:
    settings = TableSettings(name="t", kind=path.suffix[1:], path=path, **more)
    (table,) = open_tables([settings])
    return table


async def tell(table: Table, row: int, **cells: object) -> Result:
    rows = (await table.read_all()).rows
    (outcome,) = await table.write([Change(row=rows[row], cells=cells)])
    return outcome.result


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
async def test_of_a_csv_only_the_cells_written_change(tmp_path, encoding, end, delimiter):
    lines = [
        ["产品名", "状态", '"备 注"', "x"],
        ["茶壶", "", f'"a{delimiter}""b"""', ""],
        [],
        ["杯子", '"待处理"', "  后面 "],
        ["碗"],
    ]
    text = end.join(delimiter.join(line) for line in lines)
    path = tmp_path / "t.csv"
    path.write_bytes(text.encode(encoding))
    table = table_of(path)
    for row in range(3):
        assert await tell(table, row, status="已完成") is Result.WRITTEN
    lines[1][1], lines[3][1] = "已完成", '"已完成"'
    lines[4] = ["碗", "已完成"]
    wanted = end.join(delimiter.join(line) for line in lines)
    assert path.read_bytes() == wanted.encode(encoding)


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "empty"),
        ('产品名,状态\n"茶壶,\n'.encode(), "csv_quote"),
        (HEADINGS.encode("utf-16"), "csv_encoding"),
    ],
)
async def test_what_is_no_csv_is_refused_with_the_reason(tmp_path, content, code):
    path = tmp_path / "t.csv"
    path.write_bytes(content)
    with pytest.raises(Misconfigured) as caught:
        await table_of(path).read()
    assert caught.value.trouble.code == code


async def test_columns_added_to_a_csv_are_in_its_language_and_every_line_has_a_cell_for_them(
    tmp_path,
):
    path = tmp_path / "t.csv"
    path.write_bytes(b'product_name;prompt\r\n"pot"; x \r\n\r\ncup\r\nbowl;;"more";;\r\nvase')
    settings = TableSettings(name="t", kind="csv", path=path)
    (table,) = open_tables([settings], language="en")
    await table.add_columns(["status", "task_id"])
    assert path.read_bytes() == (
        b'product_name;prompt;status;task_id\r\n"pot"; x ;;\r\n\r\ncup;;;\r\n'
        b'bowl;;"more";;\r\nvase;;;'
    )
    assert [row.text("product_name") for row in (await table.read_all()).rows] == [
        *("pot", "cup", "bowl", "vase")
    ]


async def test_our_columns_are_found_by_their_english_names_and_the_records_own(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("product_name,Status,Task ID,error_message\npot,,,\n", "utf-8")
    assert await tell(table_of(path), 0, status="失败", error="why", task_id="img_1")
    assert path.read_text("utf-8").splitlines()[1] == "pot,失败,img_1,why"


@pytest.mark.parametrize(
    "place", ["tables.before_replace", "tables.draft_written", "tables.exchanging"]
)
async def test_what_somebody_saves_while_we_write_stays_and_our_cells_too(tmp_path, place):
    path = tmp_path / "t.csv"
    path.write_text(f"{HEADINGS}\n茶壶,,\n杯子,,\n", "utf-8")
    path.chmod(0o640)
    saved = []

    def save(name: str) -> None:
        if name == place and not saved:
            saved.append(name)
            draft = tmp_path / "editor"
            draft.write_text(f"{HEADINGS}\n杯子,,新的\n茶壶,,\n", "utf-8")
            draft.replace(path)

    table = table_of(path)
    rows = (await table.read_all()).rows
    failpoint.arm(save)
    try:
        (outcome,) = await table.write([Change(row=rows[0], cells={"status": "失败"})])
    finally:
        failpoint.arm(None)
    assert saved
    assert outcome.result is Result.WRITTEN
    assert path.read_text("utf-8") == f"{HEADINGS}\n杯子,,新的\n茶壶,失败,\n"
    assert [each.name for each in tmp_path.iterdir()] == ["t.csv"]


@contextlib.contextmanager
def somebody_who_saves(path: Path, text: str, then: Callable[[], object]) -> Iterator[None]:
    """Save *text* just before our version takes the file's place, and do *then* just after it."""
    done: list[str] = []

    def act(place: str) -> None:
        if place in done or len(done) > 1:
            return
        if place == "tables.exchanging":
            draft = path.with_name("editor")
            draft.write_text(text, "utf-8")
            draft.replace(path)
            done.append(place)
        if place == "tables.exchanged":
            acting = Thread(target=then)
            acting.start()
            acted.append(acting)
            time.sleep(0.2)
            done.append(place)

    acted: list[Thread] = []
    failpoint.arm(act)
    try:
        yield
    finally:
        failpoint.arm(None)
        for each in acted:
            each.join()
    assert len(done) == 2


async def test_who_saves_while_we_write_and_reads_again_at_once_reads_what_he_saved(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text(f"{HEADINGS}\n茶壶,,\n", "utf-8")
    saved = f"{HEADINGS}\n茶壶,,\n杯子,,新的\n"
    read: list[str] = []
    with somebody_who_saves(path, saved, lambda: read.append(path.read_text("utf-8"))):
        assert await tell(table_of(path), 0, status="失败") is Result.WRITTEN
    assert read == [saved]
    assert path.read_text("utf-8") == f"{HEADINGS}\n茶壶,失败,\n杯子,,新的\n"
    assert [each.name for each in tmp_path.iterdir()] == ["t.csv"]


@pytest.mark.parametrize(
    ("mode", "written", "left"),
    [
        ("a", "碗,,\n", f"{HEADINGS}\n茶壶,,\n杯子,,新的\n碗,,\n"),
        ("w", f"{HEADINGS}\n碗,,\n", f"{HEADINGS}\n碗,,\n"),
    ],
)
def test_what_is_written_into_the_file_while_we_write_stays(tmp_path, mode, written, left):
    path = tmp_path / "t.csv"
    before, ours = f"{HEADINGS}\n茶壶,,\n".encode(), f"{HEADINGS}\n茶壶,失败,\n".encode()
    path.write_bytes(before)
    saved = f"{HEADINGS}\n茶壶,,\n杯子,,新的\n"

    def write() -> None:
        with path.open(mode, encoding="utf-8") as file:
            file.write(written)

    with somebody_who_saves(path, saved, write):
        assert not replace_unless_changed(path, before, ours)
    assert path.read_text("utf-8") == left
    assert [each.name for each in tmp_path.iterdir()] == ["t.csv"]


async def test_an_older_version_that_comes_back_is_a_change(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("产品名,任务ID,状态\n茶壶,img_1,在处理中\n", encoding="utf-8")
    older, table = path.read_bytes(), table_of(path)
    seen = (await table.read()).revision
    assert await tell(table, 0, status="已完成") is Result.WRITTEN
    path.write_bytes(older)
    assert await table.read(seen) is not None


async def test_a_file_keeps_its_mode_and_a_link_stays_one(tmp_path):
    actual = tmp_path / "actual.csv"
    actual.write_text(f"{HEADINGS}\n茶壶,,\n", "utf-8")
    actual.chmod(0o664)
    path = tmp_path / "t.csv"
    path.symlink_to(actual)
    await tell(table_of(path), 0, status="失败")
    assert path.is_symlink()
    assert actual.stat().st_mode & 0o777 == 0o664
    assert "失败" in actual.read_text("utf-8")


def workbook(path: Path) -> None:
    """Make a workbook with all that a load and save by openpyxl would harm."""
    book = openpyxl.Workbook()
    sheet = book.worksheets[0]
    sheet.title = "行"
    sheet.append(["产品名", "状态", "数量", "两倍", "产品图", "任务ID", "备注"])
    sheet.append(["茶壶", None, 3, "=C2*2"])
    sheet.append(["杯子", "待处理", 4, "=C3*2"])
    sheet["B3"].font = Font(bold=True)
    sheet["G2"] = "合并"
    sheet.merge_cells("G2:G3")
    sheet.freeze_panes = "B2"
    picture = io.BytesIO()
    Image.new("RGB", (24, 24), "red").save(picture, "png")
    sheet.add_image(Anchored(picture), "E2")
    other = book.create_sheet("别的")
    other["A1"] = "=SUM(行!C2:C3)"
    book.save(path)


@pytest.fixture(params=["openpyxl", "libreoffice"])
def book(request, tmp_path) -> Path:
    """A workbook as openpyxl saves it, and as LibreOffice does after opening that."""
    path = tmp_path / "t.xlsx"
    workbook(path)
    if request.param == "openpyxl":
        return path
    if shutil.which("soffice") is None:
        pytest.skip("LibreOffice is not there: apt-get install libreoffice-calc")
    saved = tmp_path / "saved"
    subprocess.run(
        [
            *("soffice", "--headless", f"-env:UserInstallation=file://{tmp_path}/profile"),
            *("--convert-to", "xlsx", "--outdir", str(saved), str(path)),
        ],
        check=True,
        capture_output=True,
        timeout=100,
    )
    return saved / "t.xlsx"


def parts(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def cells(path: Path) -> dict[str, object]:
    """Return every cell's formula or value, stored result and look, by place."""
    seen: dict[str, object] = {}
    for data_only in (False, True):
        book = openpyxl.load_workbook(path, data_only=data_only)
        for sheet in book.worksheets:
            for line in sheet.iter_rows():
                for cell in line:
                    place = f"{sheet.title}!{cell.coordinate} {data_only}"
                    seen[place] = (cell.value, cell.font.bold, cell.number_format)
            seen[f"{sheet.title} {data_only}"] = (sheet.freeze_panes, str(sheet.merged_cells))
    return seen


async def test_of_a_workbook_only_our_cells_change(book):
    before, parts_before = cells(book), parts(book)
    table = table_of(book)
    assert await tell(table, 0, status="已完成", task_id="img_1") is Result.WRITTEN
    assert await tell(table, 1, status="失败 <&>") is Result.WRITTEN
    await table.add_columns(["error"])
    after, parts_after = cells(book), parts(book)
    changed = {place for place in after if after[place] != before.get(place)}
    ours = {"B2", "F2", "B3", "H1"}
    assert {place.split("!")[1].split(" ")[0] for place in changed if "!" in place} - {
        "H2",
        "H3",
    } == ours
    assert after["行!B3 True"] == ("失败 <&>", True, "General")
    assert after["行!D2 True"] == before["行!D2 True"]
    assert list(parts_after) == list(parts_before)
    assert {name for name in parts_after if parts_after[name] != parts_before[name]} == {
        "xl/worksheets/sheet1.xml"
    }


async def test_a_picture_over_a_cell_is_that_cells_file(book, tmp_path):
    rows = (await table_of(book).read_all()).rows
    (file,) = rows[0].files["product_image"]
    await table_of(book).fetch(file, rows[0], "product_image", tmp_path / "got.png")
    with Image.open(tmp_path / "got.png") as picture:
        assert picture.size == (24, 24)
    assert "product_image" not in rows[1].files


@pytest.mark.parametrize(
    ("columns", "cells", "code"),
    [
        ({"status": "两倍"}, {"status": "已完成"}, "xlsx_formula"),
        ({}, {"备注": "x"}, "xlsx_merged"),
        ({}, {"status": "长" * 40_000}, "cell_too_long"),
    ],
)
async def test_cells_that_must_not_be_written_refuse_their_row_alone(
    tmp_path, columns, cells, code
):
    path = tmp_path / "t.xlsx"
    workbook(path)
    table = table_of(path, columns=columns)
    rows = (await table.read_all()).rows
    here = Change(row=rows[1], cells=cells)
    outcomes = await table.write([here, Change(row=rows[0], cells={"任务ID": "x", "task_id": "x"})])
    assert [outcome.result for outcome in outcomes] == [Result.REFUSED, Result.WRITTEN]
    assert outcomes[0].trouble.code == code


async def test_a_sheet_is_found_by_its_title_and_a_missing_one_is_named(tmp_path):
    path = tmp_path / "t.xlsx"
    workbook(path)
    assert len((await table_of(path, sheet="行").read_all()).rows) == 2
    with pytest.raises(Misconfigured, match="行, 别的"):
        await table_of(path, sheet="没有").read()


async def test_a_draft_that_a_kill_left_goes_and_somebodys_version_in_it_is_kept(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text(f"{HEADINGS}\n茶壶,,\n", "utf-8")
    (tmp_path / ".t.csv.0123.part.tmp").write_text("half", "utf-8")
    swapped_out = tmp_path / f".t.csv.{'0' * 16}-{'1' * 16}.tmp"
    swapped_out.write_text("saved by somebody", "utf-8")
    await table_of(path).read()
    (kept,) = [each for each in tmp_path.iterdir() if each != path]
    assert kept.name.startswith("t.saved-")
    assert kept.read_text("utf-8") == "saved by somebody"


@pytest.mark.parametrize("kind", ["csv", "xlsx"])
@pytest.mark.parametrize(
    ("lock", "content"),
    [
        ("~${name}", b"\x04Anna" + b" " * 40),  # Excel, WPS for Windows
        (".~{name}", b"\x04Anna" + b" " * 40),  # WPS for Linux
        (".~lock.{name}#", b",Anna,desk,25.11.2026 10:00,file:///tmp;"),  # LibreOffice
    ],
)
async def test_while_a_spreadsheet_program_has_the_file_open_nothing_is_written(
    tmp_path, kind, lock, content
):
    path = tmp_path / f"t.{kind}"
    workbook(path) if kind == "xlsx" else path.write_text(f"{HEADINGS}\n茶壶,,\n", "utf-8")
    before = path.read_bytes()
    mark = tmp_path / lock.format(name=path.name)
    mark.write_bytes(content)
    table = table_of(path)
    with pytest.raises(InUse, match="Anna"):
        await tell(table, 0, status="失败")
    assert path.read_bytes() == before
    mark.unlink()
    assert await tell(table, 0, status="失败") is Result.WRITTEN


IN_CELLS = """<etc:cellImages xmlns:etc="http://www.wps.cn/officeDocument/2017/etCustomData"
 xmlns:xdr="http://schemas.openxmlformats.org/drawingml/2006/spreadsheetDrawing"
 xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main"
 xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"><etc:cellImage>
<xdr:pic><xdr:nvPicPr><xdr:cNvPr id="2" name="ID_A1B2"/></xdr:nvPicPr><xdr:blipFill>
<a:blip r:embed="rId1"/></xdr:blipFill></xdr:pic></etc:cellImage></etc:cellImages>"""
IN_CELLS_RELS = """<Relationships
 xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="rId1"
 Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/image"
 Target="media/cell.png"/></Relationships>"""


def as_wps_saves(path: Path, picture: bytes) -> None:
    """Put a picture into the cell C2, as WPS does, beside a blank cell that has a style."""
    book = openpyxl.Workbook()
    book.worksheets[0].append(["产品名", "模特图", "产品图", "状态", "任务ID"])
    book.worksheets[0].append(["茶壶", None, '=_xlfn.DISPIMG("ID_A1B2",1)'])
    book.worksheets[0]["B2"].font = Font(bold=True)
    book.save(path)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("xl/cellimages.xml", IN_CELLS)
        archive.writestr("xl/_rels/cellimages.xml.rels", IN_CELLS_RELS)
        archive.writestr("xl/media/cell.png", picture)


async def test_a_picture_that_wps_keeps_in_a_cell_is_read_and_stays_when_others_are_written(
    tmp_path,
):
    path, content = tmp_path / "t.xlsx", io.BytesIO()
    Image.new("RGB", (24, 24), "red").save(content, "png")
    as_wps_saves(path, content.getvalue())
    table = table_of(path)
    assert await tell(table, 0, status="已完成", task_id="img_1") is Result.WRITTEN
    (row,) = (await table.read_all()).rows
    assert list(row.files) == ["product_image"]
    assert (row.problems, row.text("status")) == ({}, "已完成")
    await table.fetch(row.files["product_image"][0], row, "product_image", tmp_path / "got.png")
    assert (tmp_path / "got.png").read_bytes() == content.getvalue()
    assert b'DISPIMG("ID_A1B2",1)' in parts(path)["xl/worksheets/sheet1.xml"]


async def test_cells_that_are_empty_but_stand_in_the_file_are_written_and_emptied_again(tmp_path):
    path = tmp_path / "t.xlsx"
    book = openpyxl.Workbook()
    book.active.append(["产品名", "命令", "任务ID", "状态"])
    book.active.append(["茶壶", None, None, None])
    for cell in book.active[2]:
        cell.font = Font(bold=True)  # so it stands in the file, without an end tag
    book.save(path)
    table = table_of(path)
    for status in ("在处理中", None, "已完成"):
        (row,) = (await table.read_all()).rows
        await table.write([Change(row=row, cells={"command": status, "status": status})])
        line = next(openpyxl.load_workbook(path).active.iter_rows(min_row=2))
        assert [cell.value for cell in line] == ["茶壶", status, None, status]
        assert all(cell.font.bold for cell in line)
