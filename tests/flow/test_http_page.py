"""What the page asks for beside the contract: brief rows, a task's story, the overview."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from daemon.comfy.simulator import Simulator
from ledger.batch import BatchStatus
from ledger.status import Stage
from tests.fakes.door import Door, open_door
from tests.fakes.records import batch_record, task_record
from tests.fakes.world import TWO_ROWS, World
from tests.flow.test_http_events import first, listening

BATCH = "/api/batches/spring-abc234"


@pytest.fixture
async def door(tmp_path: Path) -> AsyncIterator[Door]:
    world = World(tmp_path / "world", "http://127.0.0.1:9")  # nobody there: nothing moves by itself
    async with open_door(world) as door:
        assert door.ledger is not None
        tasks = [
            task_record(n, Stage.FAILED, error_message="x" * 1000, retry_count=int(n == 3))
            for n in range(1, 26)
        ]
        waiting = task_record(26)
        await door.ledger.commit(
            batch_record(status=BatchStatus.PAUSED), *tasks, waiting, op="batch.accepted"
        )
        yield door


async def test_rows_come_page_by_page_once_each_and_without_what_was_retried(door: Door) -> None:
    found, cursor = [], ""
    while cursor is not None:
        page = (await door.get(f"{BATCH}/rows?limit=10{cursor and f'&cursor={cursor}'}")).json
        assert len(page["rows"]) <= 10
        found += page["rows"]
        cursor = page["next_cursor"]
    assert [row["row_number"] for row in found] == [n for n in range(1, 27) if n != 3]
    assert {len(row.get("error_message", "")) for row in found} == {0, 300}
    assert "server" not in found[0]  # what has its default value is left out
    assert (await door.get("/api/batches/none-aaaaaa/rows")).code == "unknown_batch"


async def test_the_page_tells_the_same_story_as_the_command_in_the_language_asked_for(
    tmp_path: Path,
) -> None:
    async with Simulator(tmp_path / "comfyui") as simulator:
        world = World(tmp_path / "world", simulator.url)
        world.drop("spring", TWO_ROWS[1:])
        async with open_door(world) as door:
            asked = "/api/tasks?status=done"
            done = (await door.until(asked, lambda found: len(found["tasks"]) == 2))["tasks"]
            for task in done:
                path = f"/api/tasks/{task['task_id']}"
                told = (await door.get(f"{path}/story", headers={"Accept-Language": "en"})).json
                code, why = await world.run("why", task["task_id"], "--json", LANG="en_US.UTF-8")
                assert code == 0
                assert told == json.loads(why)
                assert (told["status"], told["stage"]) == ("已完成", "done")
                in_zh = (await door.get(f"{path}/story", headers={"Accept-Language": "zh"})).json
                assert "完成" in in_zh["story"][-1]["text"]
                # a video's input is the picture that stage one made
                for column in task["inputs"]:
                    picture = await door.get(f"/inputs/{task['task_id']}/{column}")
                    assert picture.status == 200, column
                    small = await door.get(f"/thumbs/{task['task_id']}/inputs/{column}")
                    assert small.headers["Content-Type"] == "image/webp"
                assert (await door.get(f"/thumbs/{task['task_id']}/0")).body[8:12] == b"WEBP"
        unknown = "/api/tasks/img_20260101_999999/story"
        async with open_door(world) as door:
            assert (await door.get(unknown)).code == "unknown_task"
            async with listening(door) as stream:  # what was made last is known after a start, too
                snapshot = (await first(stream, "snapshot")).data
            made = {task["task_id"] for task in snapshot["latest"]}
            assert made == {task["task_id"] for task in done}


async def test_the_overview_counts_what_ends_and_how_busy_each_server_was(tmp_path: Path) -> None:
    async with Simulator(tmp_path / "comfyui", seconds_per_job=0.5) as simulator:
        world = World(tmp_path / "world", simulator.url)
        async with open_door(world) as door, listening(door) as stream:
            world.drop("spring", TWO_ROWS[:1])
            async with asyncio.timeout(20):
                while not sum(
                    (overview := (await first(stream, "overview")).data)["done_per_minute"]
                ):
                    pass
        assert overview["busy_shares"]["gpu-0"] > 0
        assert (sum(overview["failed_per_minute"]), overview["stuck"]) == (0, 0)
