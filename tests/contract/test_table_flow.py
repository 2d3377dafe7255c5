"""One suite over every kind of table: rows become results in their row, whatever people do."""

import asyncio
import contextlib
from collections import Counter
from pathlib import Path

import pytest
from PIL import Image

from daemon.clock import SystemClock
from daemon.comfy.simulator import Simulator
from tests.fakes.table_user import TableUser
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

    def begin(rows: list[dict[str, str | Path]], more: str = "") -> World:
        user.fill(HEADINGS, rows)
        return World(tmp_path / "world", simulator.url, more=user.toml + more)

    return begin


def said(user: TableUser, heading: str) -> list[str]:
    return [row[heading] for row in user.rows()]


async def until(condition, seconds: float = 30) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.05)


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


async def test_a_finished_table_is_left_alone_by_the_next_run(user, begin, row):
    world = begin([row(1)])
    await world.run("run", "--once")
    before = user.rows()
    code, log = await world.run("run", "--once")
    assert code == 0, log
    assert user.rows() == before
    assert len(world.tasks()) == 1
