"""A whole daemon on Feishu tables: it keeps secrets, outlives outages and puts nothing twice."""

import asyncio
import signal

import pytest
from PIL import Image

from daemon.clock import SystemClock
from daemon.comfy.simulator import Simulator
from tests.fakes.feishu_users import BitableUser, SheetUser
from tests.fakes.world import World, finish

HEADINGS = ("产品名", "产品图", "模特图", "任务ID", "状态", "错误信息", "输出图片")


@pytest.fixture
def pictures(tmp_path):
    folder = tmp_path / "pictures"
    folder.mkdir()
    made = {"产品图": folder / "pot.png", "模特图": folder / "mei.png"}
    for path in made.values():
        Image.new("RGB", (40, 32)).save(path)
    return made


@pytest.fixture
async def simulator(tmp_path):
    async with Simulator(tmp_path / "comfyui") as simulator:
        yield simulator


@pytest.fixture(params=[BitableUser, SheetUser], ids=lambda kind: kind.kind)
async def user(request, tmp_path):
    user = request.param(tmp_path / "document", SystemClock())
    user.feishu.hook_secret = "secret-of-the-bot"
    async with user.feishu:
        yield user


def world_of(tmp_path, simulator, user, more: str = "") -> World:
    alerts = (
        f'[alerts]\nfeishu_webhook = "{user.feishu.hook}"\n'
        'feishu_webhook_secret = "secret-of-the-bot"\ndisk_free_gib = 1e9\n'
        '[log]\nlevel = "debug"\n'
    )
    return World(tmp_path / "world", simulator.url, more=user.toml + alerts + more)


async def test_a_run_with_every_kind_of_trouble_ends_well_and_no_log_line_holds_a_secret(
    user, tmp_path, simulator, pictures
):
    user.fill(HEADINGS, [{"产品名": f"茶壶{n}", **pictures} for n in (1, 2)])
    feishu, world = user.feishu, world_of(tmp_path, simulator, user)
    write = "bitable.update" if isinstance(user, BitableUser) else "sheets.write"
    feishu.fail("auth.token", status=502, body=b"<html>")
    feishu.fail("media.download", 99991663, status=400)
    feishu.fail("media.download", drops=True)
    feishu.fail(write, 99991400, status=429, headers={"x-ogw-ratelimit-reset": "1"})
    feishu.fail(write, 1254291)
    feishu.fail(write, drops=True, after=True)
    feishu.fail("bot.send", 19021)
    code, log = await world.run("run", "--once", seconds=90)
    assert code == 0, log
    assert [row["状态"] for row in user.rows()] == ["已完成"] * 2
    assert all(row["输出图片"].endswith(".png") for row in user.rows())
    assert any("GiB" in text for text in feishu.texts) or "alert.not_sent" in log
    assert "feishu.call_failed" in log
    secrets = [*feishu.tokens, feishu.app_secret, "hook-address-secret", "secret-of-the-bot"]
    assert [secret for secret in secrets if secret in log] == []
    kept = [path for path in world.state.rglob("*") if path.is_file()]
    for path in kept:
        content = path.read_bytes()
        assert [secret for secret in secrets if secret.encode() in content] == [], path


@pytest.mark.parametrize(
    "place", ["feishu.image.after", "publish.uploaded", "publish.upload_noted"]
)
async def test_a_picture_is_put_into_its_cell_once_wherever_the_daemon_is_killed(
    place, tmp_path, simulator, pictures
):
    user = SheetUser(tmp_path / "document", SystemClock())
    async with user.feishu:
        user.fill(HEADINGS, [{"产品名": "茶壶", **pictures}])
        world = World(tmp_path / "world", simulator.url, more=user.toml)
        code, log = await world.run("run", "--once", ROWKEEPER_FAILPOINT=place)
        assert code == -signal.SIGKILL, log
        assert user.rows()[0]["状态"] != "已完成"  # the picture may be there, the word is last
        code, log = await world.run("run", "--once")
        assert code == 0, log
    (row,) = user.rows()
    assert (row["状态"], row["输出图片"].endswith(".png")) == ("已完成", True)
    assert user.feishu.count("sheets.image") == 1
    assert [task.publish.state for task in world.tasks()] == ["published"]


async def test_spent_calls_stop_the_table_but_not_the_work_that_was_taken(
    tmp_path, simulator, pictures
):
    user = BitableUser(tmp_path / "document", SystemClock())
    async with user.feishu:
        user.fill(HEADINGS, [{"产品名": "茶壶", **pictures}])
        user.feishu.fail("media.part", 99991403, status=429)
        world = World(tmp_path / "world", simulator.url, more=user.toml)
        _, log = await world.run("run", "--once")
        (task,) = world.tasks()
        assert (task.status, task.publish.is_settled) == ("已完成", False)
        assert "table.hindered" in log
        asked = len(user.feishu.calls)
        await world.run("run", "--once")
        assert len(user.feishu.calls) == asked  # not one call more
        code, said = await world.run("tables", "resume")
        assert (code, "calls to Feishu pass again" in said) == (0, True)
        code, log = await world.run("run", "--once")
        assert code == 0, log
    assert user.rows()[0]["状态"] == "已完成"


async def test_pushed_news_are_looked_at_at_once_and_our_own_cells_are_no_news(
    tmp_path, simulator, pictures
):
    user = BitableUser(tmp_path / "document", SystemClock())
    async with user.feishu as feishu:
        user.fill(HEADINGS, [])
        toml = user.toml.replace("poll_seconds = 0.2", "poll_seconds = 3600")
        toml = toml.replace("[[tables]]", "push = true\n[[tables]]")
        world = World(tmp_path / "world", simulator.url, more=toml)
        process = await world.daemon("run")
        await until(lambda: feishu.frames and feishu.count("bitable.search"))
        user.insert(0, {"产品名": "茶壶", **pictures})
        await feishu.push(user.base, "record_added", [])
        await until(lambda: user.rows()[0]["状态"] == "已完成")
        looks = feishu.count("bitable.search")
        await feishu.push(user.base, "record_edited", [user.base.column("状态").field_id])
        await asyncio.sleep(1)
        assert feishu.count("bitable.search") == looks
        process.terminate()
        code, log = await finish(process)
    assert code == 0, log
    assert "secret-of-the-gateway" not in log


async def until(condition, seconds: float = 40) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.05)


async def test_a_sheet_says_in_its_row_that_a_picture_floats(tmp_path, pictures):
    user = SheetUser(tmp_path / "document", SystemClock())
    async with user.feishu, Simulator(tmp_path / "comfyui") as simulator:
        user.fill(HEADINGS, [{"产品名": "浮动", "模特图": pictures["模特图"]}])
        content = pictures["产品图"].read_bytes()
        user.book.sheets[0].floating.append(("B2", user.book.picture(content, "x.png")))
        world = World(tmp_path / "world", simulator.url, more=user.toml)
        code, log = await world.run("run", "--once")
        assert code == 1, log
    assert "浮在单元格上方" in user.rows()[0]["错误信息"]


async def test_a_command_whose_emptying_went_unanswered_is_obeyed_when_it_is_written_again(
    tmp_path, simulator, pictures
):
    user = BitableUser(tmp_path / "document", SystemClock())
    async with user.feishu as feishu:
        user.fill((*HEADINGS, "命令", "重试次数"), [{"产品名": "茶壶", **pictures}])
        world = World(tmp_path / "world", simulator.url, max_auto_retries=0, more=user.toml)
        simulator.faults.set("execution_error")
        process = await world.daemon("run")
        await until(lambda: user.rows()[0]["状态"] == "失败")
        feishu.fail("bitable.update", 91402, after=True)  # carried out, but who knows
        user.edit(0, "命令", "重试")
        await until(lambda: (user.rows()[0]["重试次数"], user.rows()[0]["状态"]) == ("1", "失败"))
        assert user.rows()[0]["命令"] == ""
        simulator.faults.clear()
        looks = feishu.count("bitable.search")
        await until(lambda: feishu.count("bitable.search") > looks + 1)  # it saw the cell empty
        user.edit(0, "命令", "重试")
        await until(lambda: user.rows()[0]["状态"] == "已完成")
        await until(lambda: user.rows()[0]["命令"] == "")
        process.terminate()
        code, log = await finish(process)
    assert code == 0, log
    assert [task.status for task in world.tasks()] == ["失败", "失败", "已完成"]
