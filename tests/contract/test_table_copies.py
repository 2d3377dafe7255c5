"""One suite over every kind of table: a copied row is never told another row's result."""

import pytest
from PIL import Image

from daemon.clock import SystemClock
from daemon.comfy.simulator import Simulator
from tests.fakes.feishu_users import SheetUser
from tests.fakes.file_users import FILE_USERS
from tests.fakes.waiting import until
from tests.fakes.world import World, finish

HEADINGS = (
    *("编号", "产品名", "产品图", "模特图", "命令"),
    *("任务ID", "状态", "错误信息", "输出图片"),
)

#: A Bitable finds its rows by keys of their own, which no copy of a file brings back.
with_ids_in_a_column = pytest.mark.parametrize(
    "user", [*FILE_USERS, SheetUser], indirect=True, ids=lambda kind: kind.kind
)


@pytest.fixture
def table_clock() -> SystemClock:
    """The daemon is a process of its own; its table must live in the same time."""
    return SystemClock()


@pytest.fixture
def pictures(tmp_path):
    paths = [tmp_path / "document" / name for name in ("p0.png", "p1.png")]
    paths[0].parent.mkdir(parents=True, exist_ok=True)
    for number, path in enumerate(paths):
        Image.new("RGB", (40, 32), (90 * number, 80, 90)).save(path)
    return paths


@pytest.fixture
async def simulator(tmp_path):
    async with Simulator(tmp_path / "comfyui") as simulator:
        yield simulator


@pytest.fixture
def cup(user, pictures, simulator, tmp_path):
    """A table with one row, 红杯, and the installation that works on it."""
    first, _ = pictures
    user.fill(HEADINGS, [{"编号": "1", "产品名": "红杯", "产品图": first, "模特图": first}])
    return World(tmp_path / "world", simulator.url, max_auto_retries=0, more=user.toml)


@pytest.fixture
def copy(user, pictures):
    """Copy the first row as 蓝瓶 with another picture, above it."""

    def copy() -> None:
        user.copy(0)
        user.edit(1, "编号", "0")
        user.edit(1, "产品名", "蓝瓶")
        user.edit(1, "产品图", pictures[1])
        user.sort("编号")

    return copy


async def worked(world: World) -> int:
    """Have a daemon, which knows no more than the ledger, do what the table wants."""
    return await world.run_here()


async def reconciled(world: World) -> dict:
    code, answer = await world.asked("tables", "reconcile")
    assert code == 0, answer
    return answer["tables"][0]


def place_of(user, name: str) -> int:
    return said(user, "产品名").index(name)


def said(user, heading: str) -> list[str]:
    return [row[heading] for row in user.rows()]


def row_of(user, name: str) -> dict[str, str]:
    return user.rows()[place_of(user, name)]


def is_told_to_be_a_copy(row: dict[str, str]) -> bool:
    return all(word in row["错误信息"] for word in ("复制", "清空", "任务ID", "状态"))


async def test_a_copy_of_a_row_that_was_run_anew_stays_a_copy_and_runs_once_it_is_cleared(
    user, cup, copy
):
    assert await worked(cup) == 0
    copy()
    old = row_of(user, "红杯")
    user.edit(place_of(user, "红杯"), "命令", "重跑")
    assert await worked(cup) == 0
    new = row_of(user, "红杯")
    assert new["任务ID"] != old["任务ID"] == row_of(user, "蓝瓶")["任务ID"]
    assert new["输出图片"] != old["输出图片"]
    user.sort("编号", reverse=True)
    assert await worked(cup) == 0
    assert is_told_to_be_a_copy(row_of(user, "蓝瓶"))
    before = user.rows()
    answer = await reconciled(cup)
    assert (answer["rows"], answer["gone"], answer["differences"]) == (1, [], [])
    assert user.rows() == before
    for heading in ("任务ID", "状态"):
        user.edit(place_of(user, "蓝瓶"), heading, "")
    assert await worked(cup) == 0
    blue = row_of(user, "蓝瓶")
    assert (blue["状态"], blue["错误信息"]) == ("已完成", "")
    assert blue["任务ID"] not in (old["任务ID"], new["任务ID"])
    assert "蓝瓶" in blue["输出图片"]
    assert len(cup.tasks()) == 3
    assert cup.verify() == []


@pytest.fixture
def rerun(user, cup):
    """Run the row, then run it anew; returns the row as it showed each run."""

    async def rerun() -> tuple[dict[str, str], dict[str, str]]:
        assert await worked(cup) == 0
        (old,) = user.rows()
        user.edit(0, "命令", "重跑")
        assert await worked(cup) == 0
        (new,) = user.rows()
        assert new["任务ID"] != old["任务ID"]
        *_, task = cup.tasks()
        assert task.metadata.table_row.replaces == old["任务ID"]
        return old, new

    return rerun


@pytest.fixture
def save_over(user):
    """Have the first row say what an older copy of the table says of it."""

    def save_over(old: dict[str, str], **also: str) -> None:
        held = {heading: old[heading] for heading in ("任务ID", "状态", "输出图片")}
        if user.kind == "feishu-sheet":
            del held["输出图片"]  # pictures lie in their cells
        for heading, value in (held | also).items():
            user.edit(0, heading, value)

    return save_over


@with_ids_in_a_column
async def test_an_older_copy_from_before_a_rerun_shows_the_last_run_again_and_takes_commands(
    user, cup, rerun, save_over
):
    old, new = await rerun()
    save_over(old, 命令="重跑")  # the word that the last run obeyed
    assert await worked(cup) == 0
    assert user.rows() == [new]
    save_over(old)
    user.copy(0)
    user.edit(1, "产品名", "蓝瓶")
    assert await worked(cup) == 0
    assert user.rows()[0] == new
    assert is_told_to_be_a_copy(user.rows()[1])
    assert user.rows()[1]["任务ID"] == old["任务ID"]
    user.delete(1)
    assert await worked(cup) == 0
    save_over(old, 产品名="绿杯", 命令="重跑")
    assert len(cup.tasks()) == 2
    assert await worked(cup) == 0
    assert len(cup.tasks()) == 3
    assert "绿杯" in user.rows()[0]["输出图片"]
    assert cup.verify() == []


@with_ids_in_a_column
async def test_reconcile_gives_a_row_of_an_older_copy_the_id_and_result_of_its_last_run(
    user, cup, rerun, save_over
):
    old, new = await rerun()
    save_over(old)
    answer = await reconciled(cup)
    assert (answer["rows"], answer["gone"]) == (1, [])
    first = answer["differences"][0]
    assert (first["column"], first["was"], first["now"]) == ("任务ID", old["任务ID"], new["任务ID"])
    assert user.rows() == [new]
    assert cup.verify() == []


async def test_a_true_copy_of_a_row_at_work_says_so_and_the_row_alone_is_told_its_end(user, cup):
    code, log = await cup.run("server", "gpu-0", "drain")
    assert code == 0, log
    process = await cup.daemon("run")
    await until(lambda: said(user, "状态") == ["在处理中"])
    user.copy(0)
    await until(lambda: any(map(is_told_to_be_a_copy, user.rows())))
    (copy,) = filter(is_told_to_be_a_copy, user.rows())
    assert sorted(said(user, "状态")) == ["", "在处理中"]
    user.sort("状态")  # the copy stands first from now on
    code, log = await cup.run("server", "gpu-0", "resume")
    assert code == 0, log
    await until(lambda: said(user, "状态")[1] == "已完成")
    process.terminate()
    code, log = await finish(process)
    assert code == 0, log
    first, second = user.rows()
    assert (first, second["错误信息"]) == (copy, "")
    await worked(cup)
    assert user.rows() == [first, second]
    user.delete(1)
    await worked(cup)
    (left,) = user.rows()
    if user.kind == "feishu-bitable":
        assert left == copy
    else:  # no different from a row that was moved
        assert (left["状态"], left["错误信息"]) == ("已完成", "")
    assert len(cup.tasks()) == 1
    assert cup.verify() == []


async def test_a_copy_is_told_nothing_of_its_original_that_is_retried_mended_and_deleted(
    user, cup, copy, simulator
):
    simulator.faults.set("execution_error")
    assert await worked(cup) == 1
    copy()
    await worked(cup)
    assert is_told_to_be_a_copy(row_of(user, "蓝瓶"))
    simulator.faults.clear()
    for number in range(2):
        user.edit(number, "命令", "重试")
    blue = row_of(user, "蓝瓶")
    assert await worked(cup) == 0
    red = row_of(user, "红杯")
    assert (red["状态"], red["错误信息"], red["命令"]) == ("已完成", "", "")
    user.edit(place_of(user, "红杯"), "状态", "失败")
    (cell,) = (await reconciled(cup))["differences"]
    assert (cell["column"], cell["was"], cell["now"]) == ("状态", "失败", "已完成")
    assert row_of(user, "红杯") == red
    user.delete(place_of(user, "红杯"))
    user.edit(0, "产品名", "绿瓶")  # known for a copy whatever is edited in it
    assert await worked(cup) == 0
    answer = await reconciled(cup)
    assert (answer["rows"], answer["differences"], len(answer["gone"])) == (0, [], 1)
    assert user.rows() == [blue | {"产品名": "绿瓶"}]
    assert len(cup.tasks()) == 2
    assert cup.verify() == []
