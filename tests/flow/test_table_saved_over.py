"""Somebody saves, over a table file, a copy from before its rows were taken: nothing is lost."""

import contextlib
import signal
from collections import Counter
from pathlib import Path

import pytest
from PIL import Image

from daemon.comfy.simulator import Simulator
from tests.fakes.file_users import FILE_USERS, FileUser
from tests.fakes.waiting import until
from tests.fakes.world import World, executions, finish, kill

HEADINGS = ("编号", "产品名", "产品图", "模特图", "任务ID", "状态", "错误信息", "输出图片", "命令")
ROWS = 4


@pytest.fixture(params=FILE_USERS, ids=lambda kind: kind.kind)
def user(request, tmp_path) -> FileUser:
    user = request.param(tmp_path / "document")
    picture = tmp_path / "document" / "pot.png"
    Image.new("RGB", (40, 32)).save(picture)
    names = ("茶壶", "茶壶", "茶杯", "碗")  # two rows say the same
    user.fill(HEADINGS, [{"产品名": name, "产品图": picture, "模特图": picture} for name in names])
    return user


@pytest.fixture
async def simulator(tmp_path):
    async with Simulator(tmp_path / "comfyui") as simulator:
        simulator.pace.seconds_per_job = 0.4
        yield simulator


def said(user: FileUser, heading: str) -> list[str]:
    return [row[heading] for row in user.rows()]


def save_over(user: FileUser, older: bytes) -> None:
    draft = user.path.with_suffix(".saving")
    draft.write_bytes(older)
    draft.replace(user.path)


@contextlib.asynccontextmanager
async def running(world: World):
    process = await world.daemon("run")
    try:
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
            code, log = await finish(process)
            assert code == 0, log


def assert_shown_once(world: World, user: FileUser, simulated: Path, keys: list[str]) -> None:
    """Every row bears the id that it was given first, ran once, and shows its result."""
    assert said(user, "任务ID") == keys
    assert len(set(said(user, "输出图片"))) == ROWS
    assert executions(simulated) == Counter(dict.fromkeys(keys, 1))
    assert {task.publish.state for task in world.tasks()} == {"published"}
    assert world.verify() == []


async def test_an_older_copy_saved_over_the_table_runs_nothing_twice_and_loses_no_result(
    user, simulator, tmp_path
):
    older = user.path.read_bytes()
    world = World(tmp_path / "world", simulator.url, more=user.toml)
    async with running(world):
        await until(lambda: all(said(user, "任务ID")) and "已完成" in said(user, "状态"))
        keys = said(user, "任务ID")
        for _ in range(2):  # while rows run, and when all have ended
            save_over(user, older)
            await until(lambda: said(user, "状态") == ["已完成"] * ROWS)
            await until(lambda: all(said(user, "输出图片")))
    assert_shown_once(world, user, tmp_path / "comfyui", keys)


async def test_killed_while_it_gives_rows_their_ids_back_nothing_runs_twice(
    user, simulator, tmp_path
):
    older = user.path.read_bytes()
    world = World(tmp_path / "world", simulator.url, more=user.toml)
    async with running(world) as process:
        await until(lambda: len(world.tasks()) == ROWS)  # rows bear their ids before that
        keys = said(user, "任务ID")
        await kill(process)
    save_over(user, older)
    code, log = await world.run("run", "--once", ROWKEEPER_FAILPOINT="restore.marked")
    assert code == -signal.SIGKILL, log
    code, log = await world.run("run", "--once")
    assert code == 0, log
    assert said(user, "状态") == ["已完成"] * ROWS
    assert_shown_once(world, user, tmp_path / "comfyui", keys)


async def test_an_older_copy_saved_while_no_daemon_runs_gives_rows_that_were_told_back_too(
    user, simulator, tmp_path
):
    older = user.path.read_bytes()
    world = World(tmp_path / "world", simulator.url, more=user.toml)
    code, log = await world.run("run", "--once")
    assert code == 0, log
    keys = said(user, "任务ID")
    save_over(user, older)
    code, log = await world.run("run", "--once")
    assert code == 0, log
    assert said(user, "状态") == ["已完成"] * ROWS
    assert_shown_once(world, user, tmp_path / "comfyui", keys)
    user.save([*user.load(), *([*line[:4], *[""] * 5] for line in user.load()[1:2])])
    code, log = await world.run("run", "--once")  # a row alike one that stands is a new one
    assert code == 0, log
    assert said(user, "任务ID")[:ROWS] == keys
    assert executions(tmp_path / "comfyui").total() == ROWS + 1


async def test_a_copy_from_before_a_rerun_gets_the_last_run_back_whenever_it_is_saved_over(
    user, simulator, tmp_path
):
    world = World(tmp_path / "world", simulator.url, more=user.toml)
    async with running(world):
        await until(lambda: said(user, "状态") == ["已完成"] * ROWS)
        older, first = user.path.read_bytes(), user.rows()[0]
        user.edit(0, "命令", "重跑")
        await until(lambda: len(world.tasks()) == ROWS + 1)
        for _ in range(2):  # while the row runs anew, and when it has ended
            save_over(user, older)
            await until(lambda: user.rows()[0]["任务ID"] != first["任务ID"])
            await until(lambda: user.rows()[0]["输出图片"] not in ("", first["输出图片"]))
        await until(lambda: said(user, "状态") == ["已完成"] * ROWS)
        rows = user.rows()
    for place in ("renew.noted", "renew.marked"):
        save_over(user, older)
        code, log = await world.run("run", "--once", ROWKEEPER_FAILPOINT=place)
        assert code == -signal.SIGKILL, log
        code, log = await world.run("run", "--once")
        assert code == 0, log
        assert user.rows() == rows
    assert executions(tmp_path / "comfyui").total() == ROWS + 1
    assert world.verify() == []
