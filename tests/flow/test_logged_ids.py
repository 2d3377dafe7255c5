"""What the real daemon logs about a task names the task, its batch and its server."""

from pathlib import Path

import orjson

from daemon.comfy.simulator import Simulator
from tests.fakes.world import TWO_ROWS, World

#: Said of a task that is at no server at that moment.
WITHOUT_SERVER = {"task.changed_meanwhile", "task.recovered"}


async def test_every_line_about_a_task_bears_its_ids(tmp_path: Path) -> None:
    async with Simulator(tmp_path / "comfyui") as simulator:
        for fault in ("lost_answer", "execution_error", "truncated_view"):
            simulator.faults.next(fault)
        world = World(tmp_path / "world", simulator.url, max_auto_retries=0)
        world.drop("spring", TWO_ROWS)
        _, told = await world.run("run", "--once", ROWKEEPER_LOG__LEVEL="debug")
    lines = [orjson.loads(line) for line in told.splitlines() if line.startswith("{")]
    about_tasks = [line for line in lines if line["event"].startswith("task.") or "task" in line]
    assert {line["event"] for line in about_tasks} >= {"task.submitted", "task.settled"}
    batches = {batch.batch_id for batch in world.batches()}
    for line in about_tasks:
        assert line.get("task"), line
        assert line.get("batch") in batches, line
        assert line.get("server") or line["event"] in WITHOUT_SERVER, line
