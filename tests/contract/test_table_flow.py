"""One suite over every kind of table: rows become results in their row, whatever people do."""

import contextlib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest
from PIL import Image

from daemon.clock import SystemClock
from daemon.comfy.simulator import Simulator
from daemon.comfy.simulator.executions import read_executions
from tests.fakes.chinese import chinese_in, english_in
from tests.fakes.table_user import TableUser
from tests.fakes.waiting import until
from tests.fakes.world import World, executions, finish

HEADINGS = (
    *("编号", "产品名", "工作流类型", "产品图", "模特图", "提示词", "命令", "任务ID", "状态"),
    *("错误信息", "开始时间", "完成时间", "输出图片", "输出视频", "重试次数", "备注"),
)


@pytest.fixture
def table_clock() -> SystemClock:
    """The daemon is a process of its own; its table must live in the same time."""
    return SystemClock()


@pytest.fixture
def row(tmp_path):
    """Make a row of a teapot with its pictures, with other cells as wanted."""
    folder = tmp_path / "document" / "pictures"
    folder.mkdir(parents=True)
    pictures = {"产品图": folder / "pot.png", "模特图": folder / "mei.png"}
    for number, path in enumerate(pictures.values()):
        Image.new("RGB", (40, 32), (90 * number, 80, 90)).save(path)

    def row(number: int, **cells: str | Path) -> dict[str, str | Path]:
        return {"编号": str(number), "产品名": f"茶壶{number}", **pictures, **cells}

    return row


@pytest.fixture
async def simulator(tmp_path):
    async with Simulator(tmp_path / "comfyui") as simulator:
        yield simulator


@pytest.fixture
def begin(tmp_path, simulator, user):
    """Fill the table, and return the world whose daemon works on it."""

    def begin(
        rows: list[dict[str, str | Path]],
        headings: Sequence[str] = HEADINGS,
        max_in_flight: int = 2,
    ) -> World:
        user.fill(headings, rows)
        return World(tmp_path / "world", simulator.url, max_in_flight=max_in_flight, more=user.toml)

    return begin


def said(user: TableUser, heading: str) -> list[str]:
    return [row[heading] for row in user.rows()]


@contextlib.asynccontextmanager
async def running(world: World):
    """The real daemon, until the block ends; what it did must stand the ledger's examination."""
    process = await world.daemon("run")
    try:
        yield
    finally:
        process.terminate()
        code, log = await finish(process)
        assert code == 0, log
        assert world.verify() == [], log


async def test_rows_run_and_their_results_stand_in_their_row(user, begin, row, tmp_path):
    two_stages = row(2, 工作流类型="图片合成+图生视频", 状态="待处理", 备注="别动")
    world = begin([row(1), two_stages, row(3, 状态="已完成"), row(4, 状态="否")])
    code, log = await world.run("run", "--once")
    assert code == 0, log
    assert said(user, "状态") == ["已完成"] * 4
    assert said(user, "错误信息") == [""] * 4
    one, two, other, four = user.rows()
    assert other["任务ID"] == other["输出图片"] == ""
    assert two["备注"] == "别动"
    for done in (one, two, four):
        assert done["输出图片"].endswith(".png")
        assert done["开始时间"] <= done["完成时间"]
        assert done["重试次数"] == "0"
    assert two["输出视频"].endswith(".mp4")
    tasks = {task.task_id: task for task in world.tasks()}
    assert len(tasks) == 4
    key = tasks[two["任务ID"]].metadata.table_row.key
    assert key.startswith("rec") if user.kind == "feishu-bitable" else key == two["任务ID"]
    assert {task.publish.state for task in tasks.values()} == {"published"}
    assert executions(tmp_path / "comfyui") == Counter(dict.fromkeys(tasks, 1))
    assert len(world.batches()) == 1
    assert world.verify() == []


async def test_every_row_gets_its_own_result_whatever_people_do_meanwhile(
    user, begin, row, simulator
):
    simulator.pace.seconds_per_job = 0.7
    world = begin([row(n, 工作流类型="图片合成+图生视频" if n == 2 else "") for n in (1, 2, 3, 4)])
    async with running(world):
        await until(lambda: all(said(user, "任务ID")) and said(user, "状态") != [""] * 4)
        keys = dict(zip(said(user, "编号"), said(user, "任务ID"), strict=True))
        user.insert(0, row(5))
        user.sort("编号", reverse=True)  # 5 4 3 2 1
        user.delete(2)
        user.edit(1, "备注", "改过")
        user.copy(3)  # without row ids of the table's own, the copy may as well be the upper one
        copy = 4 if user.kind == "feishu-bitable" else 3
        own = [n for n in range(5) if n != copy]
        user.edit(copy, "产品名", "抄来的")
        await until(lambda: [said(user, "状态")[n] for n in own] == ["已完成"] * 4)
        await until(lambda: "复制" in user.rows()[copy]["错误信息"])
        await until(lambda: said(user, "输出视频")[2] != "")
    rows = user.rows()
    assert said(user, "编号") == ["5", "4", "2", "1", "1"]
    assert [each["任务ID"] for each in rows[1:]] == [keys[n] for n in ("4", "2", "1", "1")]
    for each in (rows[n] for n in own):
        assert f"000{each['编号']}_" in each["输出图片"]
    assert rows[1]["备注"] == "改过"
    assert rows[copy]["产品名"] == "抄来的"
    states = {task.task_id: task.publish.state for task in world.tasks()}
    assert states.pop(keys["3"]) == "row_gone"
    assert set(states.values()) == {"published"}
    assert len(states) == 5


async def test_what_cannot_run_says_why_in_its_row_and_the_others_go_on(user, begin, row):
    world = begin(
        [
            row(1, 产品图=""),
            row(2, 状态="快好了"),
            row(3, 工作流类型="图片放大"),
            row(
                4, 提示词="长" * (32_000 if user.kind == "xlsx" else 50_000)
            ),  # an XLSX takes no more
            row(5, 任务ID="img_20200101_000001"),
            {"编号": "6"},
            row(7, 产品名="12345", 状态=" 待处理 "),
            row(8, 状态="跳过"),
            row(9, 产品图="" if user.kind == "feishu-bitable" else "在桌面上的那张"),
        ]
    )
    code, log = await world.run("run", "--once", LC_ALL="C")
    assert (code, "2 done, 0 failed, 5 rejected, 0 waiting" in log) == (1, True), log
    rows = user.rows()
    assert "产品图" in rows[0]["错误信息"]
    assert "快好了" in rows[1]["错误信息"]
    assert "图片放大" in rows[2]["错误信息"]
    assert "img_20200101_000001" in rows[4]["错误信息"]
    assert said(user, "错误信息")[5:8] == ["", "", ""]
    assert "产品图" in rows[8]["错误信息"]
    assert [english_in(told) for told in said(user, "错误信息")] == [""] * 9
    assert [said(user, "状态")[n] for n in (3, 6)] == ["已完成", "已完成"]
    assert len(world.tasks()) == 2
    before = user.rows()
    code, log = await world.run("run", "--once", LC_ALL="C")
    assert (code, "0 done, 0 failed, 5 rejected, 0 waiting" in log) == (1, True), log
    assert user.rows() == before
    assert len(world.tasks()) == 2


async def test_an_english_table_is_told_in_english_by_the_headings_that_it_has(user, begin, row):
    pictures = {"product_image": row(1)["产品图"], "model_image": row(1)["模特图"]}
    headings = ("product_name", *pictures, "Task ID", "State", "error", "output_image", "Wish")
    rows = [
        {"product_name": "pot", **pictures},
        {"product_name": "no picture", "model_image": pictures["model_image"]},
        {"product_name": "odd", "State": "nearly", **pictures},
        {"product_name": "strange", "Task ID": "img_20200101_000001", **pictures},
        {"Task ID": "img_20200101_000002", "State": "done", "Wish": "retry", **pictures},
        {"Task ID": "img_20200101_000003", "State": "done", "Wish": "dance", **pictures},
    ]
    world = begin(rows, headings)
    with world.config.open("a", encoding="utf-8") as file:
        file.write('[tables.columns]\nstatus = "State"\ncommand = "Wish"\n')
    code, log = await world.run("run", "--once", ROWKEEPER_LANGUAGE="en")
    assert code == 1, log
    assert said(user, "State")[:3] == ["done", "", "nearly"]
    _, picture, status, unknown, retried, danced = said(user, "error")
    assert "“product_image” is missing" in picture
    assert status.startswith("status “nearly” is unknown; known are: pending, processing, done,")
    assert unknown.startswith("“Task ID” img_20200101_000001 is not in the ledger")
    assert unknown.endswith("or was archived long ago; to run this row write rerun into “Wish”")
    assert retried.endswith("the only command for it is rerun")
    assert danced.endswith("known are: rerun, retry, cancel, pause, resume, urgent")
    told = "".join(said(user, "error")).replace("图片合成", "")  # the type's own name
    assert chinese_in(told) == ""


@pytest.mark.timeout(240)  # many steps, each awaited in the real daemon
async def test_commands_are_obeyed_once_and_their_cell_is_emptied(user, begin, row, simulator):
    simulator.faults.set("execution_error")
    world = begin([row(1)])
    async with running(world):
        await until(lambda: said(user, "状态") == ["失败"])
        assert user.rows()[0]["错误信息"]
        simulator.faults.clear()
        user.edit(0, "命令", "重试")
        await until(lambda: said(user, "状态") == ["已完成"])
        assert user.rows()[0]["重试次数"] == "1"
        user.edit(0, "命令", "跳舞")
        await until(lambda: "跳舞" in user.rows()[0]["错误信息"])
        assert said(user, "命令") == [""]
        first = said(user, "任务ID")
        user.edit(0, "产品名", "茶杯")
        user.edit(0, "命令", "重跑")
        await until(lambda: said(user, "任务ID") != first and said(user, "状态") == ["已完成"])
        await until(lambda: "茶杯" in said(user, "输出图片")[0])
        simulator.pace.seconds_per_job = 60
        user.insert(1, row(2))
        await until(lambda: said(user, "状态")[1] == "在处理中")
        user.edit(1, "命令", "取消")
        await until(lambda: said(user, "状态")[1] == "已取消")
        assert said(user, "命令") == ["", ""]
    assert [task.status for task in world.tasks()] == ["失败", "已完成", "已完成", "已取消"]
    assert [task.product_name for task in world.tasks()] == ["茶壶1", "茶壶1", "茶杯", "茶壶2"]


async def test_the_answer_to_a_command_stands_in_its_row_until_the_result_does(
    user, begin, row, simulator, tmp_path
):
    simulator.pace.seconds_per_job = 3
    world = begin([row(1, 工作流类型="图片合成+图生视频", 命令="重跑")])
    async with running(world):
        await until(lambda: executions(tmp_path / "comfyui").total() == 1)
        simulator.pace.seconds_per_job = 60  # the video stays under way
        await until(lambda: said(user, "状态") == ["在处理中"])
        assert "不需要命令“重跑”" in user.rows()[0]["错误信息"]
        user.edit(0, "命令", "跳舞")
        await until(lambda: "跳舞" in user.rows()[0]["错误信息"])
        await until(lambda: user.rows()[0]["输出图片"])  # so it was told of anew
        assert "跳舞" in user.rows()[0]["错误信息"]
        user.edit(0, "命令", "取消")
        await until(lambda: said(user, "状态") == ["已取消"])
        told = (user.rows()[0]["错误信息"], user.rows()[0]["命令"])
        assert told == ("取消者：表格 table", "")


@pytest.mark.timeout(240)  # two runs of the real daemon
async def test_the_command_of_a_new_row_is_obeyed_before_a_server_sees_the_row(
    user, begin, row, tmp_path
):
    wishes = ("取消", "重跑", "", "优先", "重试")
    world = begin([row(n, 命令=wish) for n, wish in enumerate(wishes, 1)], max_in_flight=1)
    _, log = await world.run("run", "--once")
    assert said(user, "状态") == ["已取消", *["已完成"] * 4], log
    assert said(user, "命令") == [""] * 5
    cancelled, *others = said(user, "任务ID")
    order = [run.task_id for run in read_executions(tmp_path / "comfyui")]
    assert order == [others[2], others[0], others[1], others[3]]
    assert cancelled not in order
    user.insert(5, row(6, 命令="暂停"))
    async with running(world):
        await until(lambda: said(user, "任务ID")[5] and said(user, "命令")[5] == "")
        assert "暂停" in said(user, "错误信息")[5]
        assert executions(tmp_path / "comfyui").total() == 4
        user.edit(5, "命令", "继续")
        await until(lambda: said(user, "状态")[5] == "已完成")
    assert {batch.status for batch in world.batches()} == {"completed"}


async def test_a_table_of_an_older_tool_tells_each_stage_in_its_own_column(user, begin, row):
    headings = (
        "编号",
        "产品名",
        "工作流类型",
        "产品图",
        "模特图",
        "图片",
        "任务ID",
        "图片是否已处理",
    )
    picture = row(1)["产品图"]
    rows = [
        {**row(1), "图片是否已处理": "否"},
        {**row(2), "工作流类型": "图片合成+图生视频", "图片是否已处理": "否"},
        {"产品名": "视频", "工作流类型": "图生视频", "图片": picture, "图片是否已处理": "已完成"},
        {**row(4), "图片是否已处理": "已完成"},
    ]
    world = begin(rows, (*headings, "视频是否已实现", "错误信息"))
    code, log = await world.run("run", "--once")
    assert code == 0, log
    assert said(user, "错误信息") == [""] * 4
    assert said(user, "图片是否已处理") == ["已完成"] * 4
    assert said(user, "视频是否已实现") == ["", "已完成", "已完成", ""]
    assert [bool(said(user, "任务ID")[n]) for n in range(4)] == [True, True, True, False]
    assert len(world.tasks()) == 4
    before = user.rows()
    code, log = await world.run("run", "--once")
    assert (code, user.rows()) == (0, before), log


@pytest.mark.timeout(240)  # many steps, each awaited in the real daemon
async def test_a_row_is_put_first_and_its_batch_is_paused_and_resumed_from_the_table(
    user, begin, row, simulator, tmp_path
):
    simulator.pace.seconds_per_job = 60
    world = begin([row(n) for n in (1, 2, 3, 4)], max_in_flight=1)

    def obeyed(number: int) -> bool:
        return user.rows()[number]["命令"] == ""

    async with running(world):
        await until(lambda: executions(tmp_path / "comfyui").total() == 1)
        await until(lambda: all(said(user, "任务ID")))
        ids = said(user, "任务ID")
        user.edit(1, "命令", "暂停")
        await until(lambda: obeyed(1))
        assert [batch.status for batch in world.batches()] == ["paused"]
        user.edit(3, "命令", "优先")
        await until(lambda: obeyed(3))
        simulator.pace.seconds_per_job = 0.05
        user.edit(0, "命令", "取消")
        await until(lambda: said(user, "状态")[0] == "已取消")
        assert executions(tmp_path / "comfyui").total() == 1
        user.edit(1, "命令", "继续")
        await until(lambda: said(user, "状态") == ["已取消", "已完成", "已完成", "已完成"])
        await until(lambda: said(user, "命令") == [""] * 4)
    order = [run.task_id for run in read_executions(tmp_path / "comfyui")]
    assert order == [ids[0], ids[3], ids[1], ids[2]]
