"""Stuck tasks end to end: over HTTP, by the sweep, by commands, and across a kill."""

import asyncio
import json
from collections import Counter
from pathlib import Path

import pytest

from daemon.comfy.simulator import Simulator
from ledger.jsondir.reader import history
from ledger.status import Stage
from tests.fakes.door import open_door
from tests.fakes.world import TWO_ROWS, World, kill

ONE_ROW = TWO_ROWS[:1]
CHECK, RECOVERY = "/api/diagnosis/tasks/status-check", "/api/diagnosis/tasks/recovery"
#: Everything that runs is over this limit.
TINY = "max_runtime_minutes=0.00001"


async def reaches(world: World, stage: Stage) -> None:
    async with asyncio.timeout(20):
        while stage not in world.stages():
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("version", ["0.3.64", "0.33.0"])
async def test_what_runs_too_long_is_reported_and_reset_only_by_force_then_done(
    version: str, tmp_path: Path
) -> None:
    async with Simulator(tmp_path / "comfyui", version=version, seconds_per_job=60) as simulator:
        world = World(tmp_path / "world", simulator.url)
        world.drop("spring", ONE_ROW)
        async with open_door(world) as door:
            await reaches(world, Stage.RUNNING)
            check = {"stuck_tasks": []}
            async with asyncio.timeout(20):
                while not check["stuck_tasks"]:  # shown a moment later, and it runs 0.6 ms by then
                    zh = {"Accept-Language": "zh"}
                    check = (await door.get(f"{CHECK}?{TINY}", headers=zh)).json
            (stuck,) = check["stuck_tasks"]
            assert "超过上限" in stuck["stuck_reason"]
            assert (check["total_running"], check["total_stuck"]) == (1, 1)
            assert (await door.post(f"{RECOVERY}?{TINY}")).json["reset_task_ids"] == []
            assert world.stages() == Counter({Stage.RUNNING: 1})
            simulator.pace.seconds_per_job = 0
            answer = (await door.post(f"{RECOVERY}?{TINY}&force_reset=true")).json
            assert answer["reset_task_ids"] == [stuck["id"]]
            await reaches(world, Stage.DONE)
        (task,) = world.tasks()
        assert (task.attempt, task.requested, task.error_kind) == (2, None, None)
        assert [run.result for run in simulator.executions.all()] == ["interrupted", "success"]
        assert len(list((world.state / "ledger-backups").iterdir())) == 1
        asked = next(
            line
            for line in history(world.ledger, task.task_id)
            if line.op == "task.reset_requested"
        )
        assert asked.actor == "api"
        assert world.verify() == []


async def test_the_sweep_runs_by_itself_and_leaves_what_only_runs_long(tmp_path: Path) -> None:
    more = "[sweeps]\nstuck_every_seconds = 0.2\n"
    async with Simulator(tmp_path / "comfyui", seconds_per_job=60) as simulator:
        world = World(tmp_path / "world", simulator.url, more=more)
        text = world.config.read_text("utf-8")
        mark = '[workflows."图片合成"]\n'
        world.config.write_text(text.replace(mark, mark + "max_runtime_minutes = 0.001\n"), "utf-8")
        world.drop("spring", ONE_ROW)
        async with open_door(world) as door:
            await reaches(world, Stage.RUNNING)
            async with asyncio.timeout(20):
                while b"rowkeeper_stuck_tasks 1.0" not in (await door.get("/metrics")).body:
                    await asyncio.sleep(0.05)
            assert world.stages() == Counter({Stage.RUNNING: 1})
        assert not (world.state / "ledger-backups").exists()


async def test_a_kill_between_the_wish_and_its_end_resets_the_task_at_the_next_start(
    tmp_path: Path,
) -> None:
    async with Simulator(tmp_path / "comfyui", seconds_per_job=60) as simulator:
        world = World(tmp_path / "world", simulator.url)
        world.drop("spring", ONE_ROW)
        daemon = await world.daemon("run", ROWKEEPER_FAILPOINT="follow.carried_out@1")
        try:
            await reaches(world, Stage.RUNNING)
            code, _ = await world.run("recover", "--force")
            assert code == 1  # the daemon went before it could answer
            assert await daemon.wait() == -9
        finally:
            await kill(daemon)
        (task,) = world.tasks()
        assert task.requested == "reset"
        simulator.pace.seconds_per_job = 0
        code, log = await world.run("run", "--once")
        assert code == 0, log
        (task,) = world.tasks()
        assert (task.stage, task.attempt) == (Stage.DONE, 2)
        assert [run.result for run in simulator.executions.all()] == ["interrupted", "success"]


async def test_commands_do_the_same_without_a_daemon(tmp_path: Path) -> None:
    async with Simulator(tmp_path / "comfyui", seconds_per_job=60) as simulator:
        world = World(tmp_path / "world", simulator.url)
        world.drop("spring", TWO_ROWS)
        daemon = await world.daemon("run")
        await reaches(world, Stage.RUNNING)
        await kill(daemon)
        running = [task.task_id for task in world.tasks() if task.stage is Stage.RUNNING]
        before = {path: path.read_bytes() for path in world.ledger.iterdir() if path.is_file()}
        code, out = await world.run("stuck", "--json", "--max-runtime-minutes", "0.00001")
        assert code == 1
        check, _ = json.JSONDecoder().raw_decode(out)
        assert [each["id"] for each in check["stuck_tasks"]] == running
        assert before == {
            path: path.read_bytes() for path in world.ledger.iterdir() if path.is_file()
        }
        await simulator.restart()
        code, out = await world.run("recover", "--json")
        assert code == 0, out
        answer, _ = json.JSONDecoder().raw_decode(out)
        assert set(answer["reset_task_ids"]) >= set(running)
        simulator.pace.seconds_per_job = 0
        code, log = await world.run("run", "--once")
        assert code == 0, log
        assert world.verify() == []
