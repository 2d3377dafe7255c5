"""A Bitable as a table: what is read, what is written, and what people's columns make of it."""

import hashlib

import pytest

from config.settings import Table as TableSettings
from daemon.feishu.client import Client
from daemon.feishu.quota import Quota
from daemon.tables.cells import Change, Level, Result, ResultFile
from daemon.tables.errors import Misconfigured, OutOfQuota, Refused, Unreachable
from daemon.tables.feishu_bitable import FeishuBitable
from daemon.tables.feishu_values import our_name
from daemon.words import Words
from tests.fakes.clock import JumpingClock
from tests.fakes.feishu import Column, FakeFeishu

STATUSES = ["待处理", "完成", "失败", "稍后"]


@pytest.fixture
def clock():
    return JumpingClock()


@pytest.fixture
async def feishu(clock):
    async with FakeFeishu(clock) as feishu:
        yield feishu


@pytest.fixture
def base(feishu):
    return feishu.base(
        [
            Column("产品名"),
            Column("产品图", 17),
            Column(" 状态 ", 3, list(STATUSES)),
            Column("任务ID"),
            Column("错误信息"),
            Column("命令"),
            Column("输出图片", 17),
            Column("视频是否已实现", 7),
            Column("重试次数", 2),
            Column("开始时间", 5),
            Column("拼音", 20),
        ]
    )


@pytest.fixture
async def open_table(feishu, base, clock, tmp_path):
    client = Client(
        base_url=feishu.url,
        app_id=feishu.app_id,
        app_secret=feishu.app_secret,
        clock=clock,
        quota=Quota(tmp_path / "calls.json", clock),
    )
    url = f"https://x.feishu.cn/wiki/{feishu.wiki('bitable', base.app)}?table={base.table}"
    settings = TableSettings(name="t", kind="feishu-bitable", url=url)
    yield lambda language: FeishuBitable(settings, client, language)
    await client.close()


@pytest.fixture
def table(open_table):
    return open_table("auto")


def result(tmp_path, name="out.png", content=b"png", number=1, token=None):
    path = tmp_path / name
    path.write_bytes(content)
    sha256 = hashlib.sha256(content).hexdigest()
    size = len(content)
    return ResultFile(
        path=path,
        recorded=name,
        name=name,
        sha256=sha256,
        size_bytes=size,
        number=number,
        token=token,
    )


def cell(base, row, name):
    return row.cells.get(base.column(name).field_id)


async def test_a_look_is_one_filtered_search_that_leaves_ended_rows_out(base, table, feishu):
    for n, status in enumerate([None, "待处理", "完成", "失败", "稍后"]):
        base.add({"产品名": f"p{n}", "状态": status})
    base.add({"产品名": "again", "状态": "完成", "命令": "重跑"})
    reading = await table.read()
    assert [row.text("product_name") for row in reading.rows] == ["p0", "p1", "p4", "again"]
    assert not reading.is_whole
    feishu.calls.clear()
    assert await table.read(reading.revision) is None
    assert feishu.names() == {"bitable.search": 1}
    assert len((await table.read_all()).rows) == 6


async def test_a_renamed_column_is_seen_at_once_and_its_old_name_is_told(base, table):
    base.add({"产品名": "p"})
    await table.read()
    base.column("任务ID").name = "编码"
    reading = await table.read()
    assert "task_id" not in reading.columns
    assert "编码" in reading.columns


async def test_values_take_the_shape_of_their_column(base, table):
    row = base.add({"产品名": "p", "状态": "待处理"})
    cells = {
        "status": "已完成",
        "video_done": "已完成",
        "retry_count": 2,
        "started_at": "2026-11-25 10:00:00",
        "error": "x",
    }
    (outcome,) = await table.write([Change(row=row.record_id, cells=cells)])
    assert outcome.result is Result.WRITTEN
    assert cell(base, row, "状态") == "完成"  # the choice that means it; no new one is made
    assert base.column("状态").options == STATUSES
    assert (cell(base, row, "视频是否已实现"), cell(base, row, "重试次数")) == (True, 2)
    (read,) = await table.find([row.record_id])
    assert read.text("started_at") == "2026-11-25 10:00:00"
    before = base.revision
    await table.write([Change(row=row.record_id, cells=cells)])
    assert base.revision == before


async def test_a_status_column_is_made_with_options_in_the_language_of_what_is_written(
    base, open_table
):
    table = open_table("en")
    base.column("状态").name = "旧"
    await table.add_columns(["status", "error"])
    options = ["pending", "processing", "done", "failed", "cancelled"]
    assert base.column("status").options == options
    row = base.add({"产品名": "p"})
    await table.write([Change(row=row.record_id, cells={"status": "done"})])
    assert cell(base, row, "status") == "done"
    assert base.column("status").options == options


async def test_options_that_a_column_has_are_used_whatever_the_language(base, open_table):
    row = base.add({"产品名": "p", "状态": "待处理"})
    await open_table("en").write([Change(row=row.record_id, cells={"status": "done"})])
    assert cell(base, row, "状态") == "完成"
    assert base.column("状态").options == STATUSES


async def test_a_value_that_its_column_does_not_take_refuses_its_row_only(base, table):
    rows = [base.add({"产品名": f"p{n}"}) for n in range(3)]
    base.column("错误信息").type = 20
    changes = [
        Change(row=row.record_id, cells={"status": "失败", **({"error": "x"} if n == 1 else {})})
        for n, row in enumerate(rows)
    ]
    outcomes = await table.write(changes)
    assert [o.result for o in outcomes] == [Result.WRITTEN, Result.REFUSED, Result.WRITTEN]
    assert "错误信息" in outcomes[1].trouble.text(Words("zh"))


async def test_a_batch_that_is_refused_for_one_row_is_written_for_the_others(base, table, feishu):
    rows = [base.add({"产品名": f"p{n}"}) for n in range(3)]
    feishu.fail("bitable.update", 1254060)  # the batch
    changes = [Change(row=row.record_id, cells={"error": "x"}) for row in rows]
    del base.rows[2]
    outcomes = await table.write(changes)
    assert [o.result for o in outcomes] == [Result.WRITTEN, Result.WRITTEN, Result.GONE]
    assert cell(base, rows[0], "错误信息") == "x"


async def test_a_command_written_while_the_rows_of_a_refused_batch_are_written_alone_stays(
    base, table, feishu
):
    rows = [base.add({"产品名": f"p{n}", "命令": "暂停"}) for n in range(2)]
    read = (await table.read_all()).rows
    feishu.fail("bitable.update", 1254060)  # the batch
    command = base.column("命令").field_id
    feishu.meanwhile("bitable.update", lambda: rows[1].cells.update({command: "继续"}))
    outcomes = await table.write([Change(row=row, cells={"command": None}) for row in read])
    assert [o.result for o in outcomes] == [Result.WRITTEN, Result.MOVED]
    assert [cell(base, row, "命令") for row in rows] == [None, "继续"]


async def test_a_record_that_replicas_do_not_know_yet_is_asked_for_again(base, table, feishu):
    row = base.add({"产品名": "p"})
    feishu.bitable.lag_reads = 1
    (outcome,) = await table.write([Change(row=row.record_id, cells={"error": "x"})])
    assert outcome.result is Result.WRITTEN


async def test_results_stand_behind_the_files_of_people_and_replace_ours_of_before(
    base, table, feishu, tmp_path
):
    mine = base.attach(b"mine", "mine.png")
    row = base.add({"产品名": "p", "输出图片": [mine]})

    async def publish(*files):
        told = []
        for number, file in enumerate(files, 1):
            token = await table.upload(file, row.record_id, "output_image")
            told.append(result(tmp_path, file.name, file.path.read_bytes(), number, token))
        await table.write([Change(row=row.record_id, cells={"output_image": tuple(told)})])
        attachments = cell(base, row, "输出图片")
        return [feishu.drive.media[each["file_token"]].name for each in attachments]

    first = [result(tmp_path, "a.png", b"a"), result(tmp_path, "b.png", b"b")]
    assert await publish(*first) == ["mine.png", our_name(first[0]), our_name(first[1])]
    second = result(tmp_path, "a.png", b"new")
    assert await publish(second) == ["mine.png", our_name(second)]


async def test_of_a_row_with_a_file_that_the_document_does_not_know_nothing_is_written(
    base, table, feishu, tmp_path
):
    rows = [base.add({"产品名": f"p{n}"}) for n in range(2)]
    first = result(tmp_path, "a.png", b"a")
    known = result(
        tmp_path, "a.png", b"a", 1, await table.upload(first, rows[0].record_id, "output_image")
    )
    await table.write([Change(row=rows[0].record_id, cells={"output_image": (known,)})])
    foreign = feishu.drive.put(b"png", "out.png", "another base")
    files = (known, result(tmp_path, "b.png", b"b", 2, foreign))
    outcomes = await table.write(
        [
            Change(row=rows[0].record_id, cells={"output_image": files, "status": "完成"}),
            Change(row=rows[1].record_id, cells={"status": "完成"}),
        ]
    )
    assert [o.result for o in outcomes] == [Result.UNKNOWN_FILES, Result.WRITTEN]
    assert outcomes[0].unknown == {foreign}  # what the cell shows is known
    assert cell(base, rows[0], "状态") is None
    assert len(feishu.drive.uploaded(base.app)) == 1


async def test_results_for_a_text_column_are_told_by_path_and_not_uploaded(
    base, table, feishu, tmp_path
):
    base.column("输出图片").type = 1
    row = base.add({"产品名": "p"})
    file = result(tmp_path)
    assert await table.upload(file, row.record_id, "output_image") == ""
    await table.write([Change(row=row.record_id, cells={"output_image": (file,)})])
    assert cell(base, row, "输出图片") == "out.png"
    assert feishu.drive.uploaded(base.app) == []


async def test_an_attachment_is_fetched_with_the_right_that_advanced_permissions_want(
    base, table, feishu, tmp_path
):
    base.is_advanced = True
    feishu.drive.advanced.add(base.app)
    base.add({"产品名": "p", "产品图": [base.attach(b"picture", "a.png")]})
    (row,) = (await table.read()).rows
    (file,) = row.files["product_image"]
    assert (file.name, file.size_bytes) == ("a.png", 7)
    await table.fetch(file, row, "product_image", tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes() == b"picture"
    feishu.fail("media.download", status=404, body=b"")
    with pytest.raises(Refused):
        await table.fetch(file, row, "product_image", tmp_path / "a.png")


async def test_rows_that_advanced_permissions_hide_are_no_empty_table(base, table):
    base.add({"产品名": "p"})
    base.is_advanced, base.may_manage = True, False
    with pytest.raises(Misconfigured, match="permission to manage"):
        await table.read()
    base.may_manage = True
    assert len((await table.read()).rows) == 1


@pytest.mark.parametrize(
    ("code", "error"),
    [
        (91403, Misconfigured),
        (1254041, Misconfigured),
        (99991672, Misconfigured),
        (1255040, Unreachable),
        (77777777, Unreachable),
        (99991403, OutOfQuota),
    ],
)
async def test_what_feishu_says_of_the_table_is_told_with_what_mends_it(
    code, error, base, table, feishu
):
    base.add({"产品名": "p"})
    await table.read()
    feishu.fail("bitable.search", code, times=9)
    with pytest.raises(error) as caught:
        await table.read()
    assert len(caught.value.trouble.text(Words("zh"))) > 10


async def test_check_tells_each_column_and_writes_only_on_request(base, table, feishu):
    base.add({"产品名": "p", "错误信息": "before"})
    findings = await table.inspect()
    assert {finding.level for finding in findings} == {Level.OK}
    assert feishu.count("bitable.update") == 0
    revision = base.revision
    assert "通过" in (await table.inspect(write_test=True))[-1].trouble.text(Words("zh"))
    assert base.revision == revision + 1
    assert cell(base, base.rows[0], "错误信息") == "before"


async def test_check_says_which_column_has_a_type_that_takes_no_results(base, table):
    base.column("输出图片").type = 13
    (failure,) = [f for f in await table.inspect() if f.level is Level.FAIL]
    text = failure.trouble.text(Words("zh"))
    assert "输出图片" in text
    assert "附件" in text


async def test_a_link_to_a_spreadsheet_is_told_as_such(feishu, clock, tmp_path):
    client = Client(
        base_url=feishu.url,
        app_id=feishu.app_id,
        app_secret=feishu.app_secret,
        clock=clock,
        quota=Quota(tmp_path / "calls.json", clock),
    )
    for url, words in (("https://x.feishu.cn/sheets/sht1", "spreadsheet"), ("nonsense", "address")):
        table = FeishuBitable(TableSettings(name="t", kind="feishu-bitable", url=url), client)
        with pytest.raises(Misconfigured, match=words):
            await table.read()
    await client.close()
