"""The daemon is killed at every step of taking rows from a table and telling it their results."""

import signal
from collections import Counter
from pathlib import Path

import pytest
from PIL import Image

from daemon.clock import SystemClock
from daemon.comfy.simulator import Simulator
from ledger.jsondir.store import JsonDirBackend
from ledger.ledger import Ledger
from tests.fakes.feishu_users import BitableUser, SheetUser
from tests.fakes.file_users import CsvUser, FileUser, XlsxUser
from tests.fakes.records import batch_record, untold_video
from tests.fakes.table_user import TableUser
from tests.fakes.waiting import until
from tests.fakes.world import World, executions

HEADINGS = (
    "产品名",
    "工作流类型",
    "产品图",
    "模特图",
    "命令",
    "任务ID",
    "状态",
    "输出图片",
    "输出视频",
)
ROWS = 2
TASKS = 3  # a picture, and a picture with its video
UPLOADS = {"feishu-bitable": TASKS, "feishu-sheet": ROWS}  # a sheet's video is a link
FILE_USERS = {user.kind: user for user in (CsvUser, XlsxUser)}
FEISHU_USERS = {user.kind: user for user in (BitableUser, SheetUser)}
PUBLISHING = (
    *("tables.", "publish."),
    *("feishu.write", "feishu.image", "feishu.update", "feishu.upload."),
)
OURS = ("claim.", "command.", *PUBLISHING)


def fill(user: TableUser, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    pictures = {"产品图": folder / "pot.png", "模特图": folder / "mei.png"}
    for path in pictures.values():
        Image.new("RGB", (40, 32)).save(path)
    types = ("图片合成", "图片合成+图生视频")
    user.fill(HEADINGS, [{"产品名": name, "工作流类型": name, **pictures} for name in types])


async def places_of(user: TableUser, folder: Path) -> list[str]:
    """Return where one run can be killed: the first and the last time at each place of ours.

    Taking rows is one code for all file tables and one for all Feishu tables: the second kind of
    each is killed only while it publishes.
    """
    record = folder / "reached"
    async with Simulator(folder / "comfyui") as simulator:
        fill(user, folder / "document" / "pictures")
        world = World(folder / "world", simulator.url, more=user.toml)
        code, log = await world.run("run", "--once", ROWKEEPER_FAILPOINT_RECORD=str(record))
        assert code == 0, log
    counts = Counter(record.read_text("utf-8").split())
    wanted = OURS if isinstance(user, CsvUser | BitableUser) else PUBLISHING
    ours = {name: count for name, count in counts.items() if name.startswith(wanted)}
    assert len(ours) >= 4, counts
    return [f"{name}@{number}" for name, count in sorted(ours.items()) for number in {1, count}]


def assert_shown_once(world: World, user: TableUser, simulated: Path) -> None:
    """Every row is done, every task was executed once, and each row shows its own result."""
    rows = user.rows()
    assert [row["状态"] for row in rows] == ["已完成"] * ROWS
    assert executions(simulated) == Counter({task.task_id: 1 for task in world.tasks()})
    assert len(world.tasks()) == TASKS
    assert {task.publish.state for task in world.tasks()} == {"published"}
    known = {task.task_id for task in world.tasks()}
    assert len({row["任务ID"] for row in rows} & known) == ROWS
    shown = [row["输出图片"] for row in rows] + [rows[1]["输出视频"]]
    assert [len(files.split(", ")) for files in shown if files] == [1] * TASKS
    assert world.verify() == []


async def expect_one_result_wherever_killed(kind: str, folder: Path, shard: int) -> None:
    user = await started(kind, folder / "first" / "document")
    places = await places_of(user, folder / "first")
    if not isinstance(user, FileUser):
        await user.stop()
    for number, place in enumerate(places[shard::2]):
        own = folder / str(number)
        user = await started(kind, own / "document")
        fill(user, own / "document" / "pictures")
        async with Simulator(own / "comfyui") as simulator:
            world = World(own / "world", simulator.url, more=user.toml)
            code, log = await world.run("run", "--once", ROWKEEPER_FAILPOINT=place)
            assert code in (-signal.SIGKILL, 0), (place, log)  # the last ones may not come again
            code, log = await world.run("run", "--once")
            assert code == 0, (place, log)
            try:
                assert_shown_once(world, user, own / "comfyui")
                if isinstance(user, BitableUser | SheetUser):
                    assert len(uploads(user)) == UPLOADS[user.kind]
            except AssertionError as error:
                raise AssertionError(f"killed at {place}: {error}\n{log}") from error
        if isinstance(user, FileUser):
            assert [path.name for path in user.path.parent.glob(".*")] == [], place
        else:
            await user.stop()


async def started(kind: str, folder: Path) -> TableUser:
    if kind in FILE_USERS:
        return FILE_USERS[kind](folder)
    user = FEISHU_USERS[kind](folder, SystemClock())
    await user.start()
    return user


def uploads(user: BitableUser | SheetUser) -> list[str]:
    """Return what results were put into the document; the pictures of the rows are not ours."""
    document = user.base.app if isinstance(user, BitableUser) else user.book.token
    names = user.feishu.drive.uploaded(document)
    return [name for name in names if name not in ("pot.png", "mei.png")]


@pytest.mark.timeout(400)
@pytest.mark.parametrize("shard", range(2))
@pytest.mark.parametrize("kind", [*FILE_USERS, *FEISHU_USERS])
async def test_killed_at_any_step_each_row_has_exactly_one_result(
    kind: str, shard: int, tmp_path: Path
) -> None:
    await expect_one_result_wherever_killed(kind, tmp_path, shard)


@pytest.mark.parametrize(
    ("place", "more", "repeats_finish"),
    [
        ("publish.uploaded", 'uploads = "whole"\n', True),  # its price, see the example config
        ("feishu.upload.after", "", False),  # not documented: what if Feishu tells of it once only
    ],
)
async def test_a_file_that_feishu_cannot_be_asked_for_goes_up_once_more_and_is_shown_once(
    place: str, more: str, repeats_finish: bool, tmp_path: Path
) -> None:
    user = BitableUser(tmp_path / "document", SystemClock())
    user.feishu.drive.repeats_finish = repeats_finish
    async with user.feishu, Simulator(tmp_path / "comfyui") as simulator:
        fill(user, tmp_path / "document" / "pictures")
        world = World(tmp_path / "world", simulator.url, more=user.toml + more)
        code, log = await world.run("run", "--once", ROWKEEPER_FAILPOINT=place)
        assert code == -signal.SIGKILL, log
        code, log = await world.run("run", "--once")
        assert code == 0, log
        assert_shown_once(world, user, tmp_path / "comfyui")
    names = uploads(user)
    assert (len(names), len(set(names))) == (TASKS + 1, TASKS)


async def test_killed_in_the_middle_of_a_large_video_it_sends_the_parts_that_are_missing(
    tmp_path: Path,
) -> None:
    user = BitableUser(tmp_path / "document", SystemClock())
    async with user.feishu:
        user.fill(HEADINGS, [{"产品名": "茶壶"}])
        world = World(tmp_path / "world", "http://127.0.0.1:9", more=user.toml)
        world.state.mkdir(exist_ok=True)
        (world.state / "a.mp4").write_bytes(bytes(21 * 1024 * 1024))
        key = user.base.rows[0].record_id
        ledger = Ledger(JsonDirBackend(world.state / "ledger"))
        await ledger.open()
        await ledger.commit(batch_record(), untold_video("a.mp4", key), op="batch.accepted")
        await ledger.close()
        code, log = await world.run("run", "--once", ROWKEEPER_FAILPOINT="feishu.upload.part@4")
        assert code == -signal.SIGKILL, log
        code, log = await world.run("run", "--once")
        assert user.feishu.drive.uploaded(user.base.app) == [user.rows()[0]["输出视频"]], log
        sent = [call for call in user.feishu.calls if (call.name, call.code) == ("media.part", 0)]
        assert (len(sent), user.feishu.count("media.prepare")) == (6 + 1, 1)
    assert {task.publish.state for task in world.tasks()} == {"published"}


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("word", "places"),
    [
        ("重试", ("command.carried_out", "tables.draft_written", "command.emptied")),
        ("重跑", ("claim.noted", "claim.marked", "claim.accepted")),
    ],
)
async def test_killed_while_it_obeys_a_command_it_is_obeyed_exactly_once(
    word: str, places: tuple[str, ...], tmp_path: Path
) -> None:
    for place in places:
        folder = tmp_path / place
        user = CsvUser(folder / "document")
        fill(user, folder / "document" / "pictures")
        user.delete(1)
        async with Simulator(folder / "comfyui") as simulator:
            world = World(folder / "world", simulator.url, more=user.toml, max_auto_retries=0)
            simulator.faults.set("execution_error")
            code, log = await world.run("run", "--once")
            assert (code, user.rows()[0]["状态"]) == (1, "失败"), log
            simulator.faults.clear()
            user.edit(0, "命令", word)
            code, log = await world.run("run", "--once", ROWKEEPER_FAILPOINT=place)
            assert code == -signal.SIGKILL, (place, log)
            code, log = await world.run("run", "--once")
            assert code == 0, (place, log)
        assert [task.status for task in world.tasks()] == ["失败", "已完成"], place
        assert executions(folder / "comfyui").total() == 2
        assert (user.rows()[0]["命令"], user.rows()[0]["状态"]) == ("", "已完成")
        assert world.verify() == []


async def test_killed_while_it_takes_a_row_that_came_with_cancel_it_never_runs_it(
    tmp_path: Path,
) -> None:
    for place in ("claim.noted", "claim.marked", "claim.accepted", "command.emptied"):
        folder = tmp_path / place
        user = CsvUser(folder / "document")
        fill(user, folder / "document" / "pictures")
        user.delete(1)
        user.edit(0, "命令", "取消")
        async with Simulator(folder / "comfyui") as simulator:
            world = World(folder / "world", simulator.url, more=user.toml)
            code, log = await world.run("run", "--once", ROWKEEPER_FAILPOINT=place)
            assert code == -signal.SIGKILL, (place, log)
            code, log = await world.run("run", "--once")
        assert [task.status for task in world.tasks()] == ["已取消"], (place, log)
        assert executions(folder / "comfyui").total() == 0
        assert (user.rows()[0]["命令"], user.rows()[0]["状态"]) == ("", "已取消")
        assert world.verify() == []


@pytest.mark.parametrize("kind", [*FILE_USERS, *FEISHU_USERS])
async def test_a_rerun_wished_while_the_daemon_lies_dead_after_another_one_is_obeyed(
    kind: str, tmp_path: Path
) -> None:
    user = await started(kind, tmp_path / "document")
    fill(user, tmp_path / "document" / "pictures")
    user.delete(1)
    async with Simulator(tmp_path / "comfyui") as simulator:
        world = World(tmp_path / "world", simulator.url, more=user.toml)
        code, log = await world.run("run", "--once")
        assert code == 0, log
        simulator.pace.seconds_per_job = 0.5
        first = user.rows()[0]["任务ID"]
        user.edit(0, "命令", "重跑")
        daemon = await world.daemon("run")
        try:
            await until(
                lambda: user.rows()[0]["任务ID"] != first and user.rows()[0]["状态"] == "已完成"
            )
        finally:
            daemon.kill()
            await daemon.communicate()
        user.edit(0, "命令", "重跑")
        code, log = await world.run("run", "--once")
        assert code == 0, log
    tasks = [task.task_id for task in world.tasks()]
    assert executions(tmp_path / "comfyui") == Counter(dict.fromkeys(tasks, 1))
    assert len(tasks) == 3, log
    row = user.rows()[0]
    assert (row["任务ID"], row["命令"], row["状态"]) == (tasks[2], "", "已完成")
    assert world.verify() == []
    if not isinstance(user, FileUser):
        await user.stop()
