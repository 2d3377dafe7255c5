"""A backup that is put back lets no row of a table run again, and gives no id that one bears."""

import csv
import shutil
from pathlib import Path

from daemon.comfy.simulator import Simulator
from ledger.jsondir.backup import copy_ledger
from ledger.jsondir.check import verify
from ledger.jsondir.reader import history
from ledger.shelf import decode_task
from tests.fakes.world import ROOT, TWO_ROWS, World

PICTURES = ROOT / "config" / "examples" / "jobs" / "spring"
HEADINGS = ["产品名", "产品图", "模特图", "状态", "任务ID", "错误信息"]


def rows_of(table: Path) -> list[dict[str, str]]:
    if not table.exists():
        return []
    with table.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def add(table: Path, *names: str) -> None:
    rows = rows_of(table)
    rows += [{"产品名": name, "产品图": "cup.jpg", "模特图": "anna.png"} for name in names]
    with table.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, HEADINGS)
        writer.writeheader()
        writer.writerows(rows)


async def test_rows_taken_after_the_backup_keep_their_ids_and_run_once(tmp_path: Path) -> None:
    table = tmp_path / "spring.csv"
    for picture in ("cup.jpg", "anna.png"):
        shutil.copy(PICTURES / picture, tmp_path)
    async with Simulator(tmp_path / "comfyui") as simulator:
        more = f'[[tables]]\nname = "spring"\nkind = "csv"\npath = "{table}"\npoll_seconds = 1\n'
        world = World(tmp_path / "world", simulator.url, more=more)
        add(table, "一", "二")
        assert await world.run_here() == 0
        copy_ledger(world.ledger, world.state / "ledger-backups" / "good")
        add(table, "三", "四")
        assert await world.run_here() == 0
        code, told = await world.run("ledger", "restore", "good")
        assert code == 0, told
        world.drop("summer", TWO_ROWS[:1])
        add(table, "五")
        assert await world.run_here() == 0
        rows = rows_of(table)
        assert [(row["状态"], row["错误信息"]) for row in rows] == [("已完成", "")] * 5
        ids = [row["任务ID"] for row in rows]
        made = simulator.executions.per_task()
        assert set(made.values()) == {1}
        assert len({*ids, *(task.task_id for task in world.tasks())}) == len(made) == 6
        assert verify(world.ledger) == []
        assert history(world.ledger, ids[3]) == []  # of 四 the restored ledger knows nothing …
        changes = [decode_task(line.task).version for line in history(world.ledger, ids[4])]
        assert changes == list(range(1, len(changes) + 1))  # … of 五 its own changes alone
