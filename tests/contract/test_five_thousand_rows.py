"""Tables of 5,000 rows of every kind, by the whole daemon: each row its result, the loop is free."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from PIL import Image

from daemon import logs
from daemon.clock import SystemClock
from tests.bench.instant_comfy import instant_comfy
from tests.fakes.aside import Aside
from tests.fakes.feishu_users import FEISHU_USERS, FeishuUser
from tests.fakes.file_users import FILE_USERS
from tests.fakes.loop_lag import HELD_SECONDS, LoopLag
from tests.fakes.table_user import TableUser
from tests.fakes.world import World, small_world

ROWS = 5_000
#: Rows that are ready; people have done the others. A file is written whole for some rows as for
#: all, so one kind takes them all.
READY = {"csv": ROWS, "xlsx": 200, "feishu-bitable": 200, "feishu-sheet": 200}
HEADINGS = (
    *("编号", "产品名", "工作流类型", "提示词", "命令", "任务ID", "状态", "错误信息"),
    *("开始时间", "完成时间", "重试次数", "备注"),
)


@pytest.fixture
def picture(tmp_path) -> Path:
    path = tmp_path / "picture.png"
    Image.new("RGB", (1, 1)).save(path)
    return path


@pytest.fixture(params=[*FILE_USERS, *FEISHU_USERS], ids=lambda kind: kind.kind)
def many(request, tmp_path) -> Iterator[TableUser]:
    """A person with a full table; a server of theirs has a loop of its own."""
    folder = tmp_path / "document"
    if not issubclass(request.param, FeishuUser):
        yield filled(request.param(folder))
        return
    user = request.param(folder, SystemClock())
    with Aside() as aside:
        aside.run(user.start())
        yield filled(user)
        aside.run(user.stop())


def filled(user: TableUser) -> TableUser:
    done = ROWS - READY[user.kind]
    rows = [
        {
            "编号": str(n),
            "产品名": f"茶壶{n}",
            "工作流类型": "小图",
            "提示词": "春天的茶山，清晨的雾，" * 5,
            "备注": f"第{n}行",
            "状态": "已完成" if n <= done else "",
        }
        for n in range(1, ROWS + 1)
    ]
    user.fill(HEADINGS, rows)
    return user


@pytest.fixture
def quiet(tmp_path) -> Iterator[None]:
    """Logs go to a file: thousands of lines are no failure's report."""
    with (tmp_path / "log").open("w") as log:
        logs.set_up(World(tmp_path / "settings").settings().log, log)
        yield
        structlog.reset_defaults()


@pytest.mark.timeout(300)
@pytest.mark.usefixtures("quiet")
async def test_five_thousand_rows_get_their_results_and_the_loop_is_never_held(
    many, picture, tmp_path
):
    with instant_comfy(picture) as url:
        world = small_world(tmp_path / "world", url, max_in_flight=64, more=many.toml)
        async with LoopLag() as lag:
            assert await world.run_here(seconds=280) == 0
    ready = READY[many.kind]
    rows = many.rows()
    assert Counter(row["状态"] for row in rows) == {"已完成": ROWS}
    ours = [row for row in rows if row["任务ID"]]
    assert [row["编号"] for row in ours] == [str(n) for n in range(ROWS - ready + 1, ROWS + 1)]
    assert all(row["完成时间"] and row["备注"] == f"第{row['编号']}行" for row in ours)
    tasks = {task.task_id: task for task in world.tasks()}
    assert {str(tasks[row["任务ID"]].row_number) == row["编号"] for row in ours} == {True}
    assert {task.publish.state for task in tasks.values()} == {"published"}
    assert len(tasks) == ready
    assert lag.held_seconds < HELD_SECONDS
