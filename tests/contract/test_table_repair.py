"""One suite over every kind of table: `tables` tells what is wrong, `tables reconcile` mends it."""

import pytest
from PIL import Image

from daemon.clock import SystemClock
from daemon.comfy.simulator import Simulator
from tests.fakes.world import World

HEADINGS = ("编号", "产品名", "产品图", "模特图", "任务ID", "状态", "错误信息", "输出图片", "备注")


@pytest.fixture
def table_clock() -> SystemClock:
    return SystemClock()


async def test_every_cell_that_differs_is_listed_and_mended(user, tmp_path):
    picture = tmp_path / "document" / "pot.png"
    Image.new("RGB", (40, 32)).save(picture)
    rows = [{"编号": str(n), "产品图": picture, "模特图": picture, "备注": "x"} for n in (1, 2, 3)]
    async with Simulator(tmp_path / "comfyui") as simulator:
        user.fill(HEADINGS, rows)
        world = World(tmp_path / "world", simulator.url, more=user.toml)
        code, log = await world.run("run", "--once")
        assert code == 0, log
    good = user.rows()
    gone = good.pop(2)
    user.delete(2)
    user.edit(0, "状态", "失败")
    user.edit(1, "错误信息", "嗯")
    code, answer = await world.asked("tables", "reconcile")
    assert code == 0, answer
    assert user.rows() == good
    (told,) = answer["tables"]
    assert {(each["column"], each["was"], each["now"]) for each in told["differences"]} == {
        ("状态", "失败", "已完成"),
        ("错误信息", "嗯", ""),
    }
    keys = {task.task_id: task.metadata.table_row.key for task in world.tasks()}
    assert told["gone"] == [keys[gone["任务ID"]]]
    assert told["headings"]["task_id"] == "任务ID"
    code, answer = await world.asked("tables", "reconcile")
    assert (code, answer["changed"]) == (0, False)
    user.edit(1, "产品名", "杯子")
    code, log = await world.run("run", "--once")
    assert code == 0, log
    assert len(world.tasks()) == 3  # reported, not rerun
    _, answer = await world.asked("tables")
    assert answer["tables"][0]["edited"] == [user.rows()[1]["任务ID"]]
    assert world.verify() == []


async def test_a_table_without_its_columns_is_paused_with_the_reason_until_it_has_them(
    user, tmp_path
):
    user.fill(("编号", "产品名", "状态"), [{"产品名": "茶壶"}])
    world = World(tmp_path / "world", "http://127.0.0.1:9", more=user.toml)
    code, log = await world.run("run", "--once")
    assert code == 1, log
    _, answer = await world.asked("tables")
    (told,) = answer["tables"]
    assert (told["name"], told["kind"]) == ("table", user.kind)
    assert told["reading"]["code"] == "missing"
    assert "任务ID" in told["reading"]["message"]
    _, status = await world.asked("status")
    assert status["tables"] == answer["tables"]
    user.rename("编号", "任务ID")
    code, log = await world.run("run", "--once")
    assert code == 1, log
    _, answer = await world.asked("tables")
    assert answer["tables"][0]["reading"] is None
    assert answer["tables"][0]["refused"] == 1
    (row,) = answer["tables"][0]["refused_rows"]
    assert row["code"] == "row_refused"
    for language, why in (
        ("C", "“product_image” is missing"),
        ("zh_CN.UTF-8", "缺少 产品图"),
    ):
        _, told = await world.run("tables", LC_ALL=language)
        (line,) = (line for line in told.splitlines() if why in line)
        assert row["row"] in line
