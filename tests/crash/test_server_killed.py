"""The server is killed, with and without the daemon; its history is gone, its output folder kept."""

import asyncio
import json
import random
import signal
from collections import Counter
from pathlib import Path

import pytest

from daemon.comfy.simulator import Simulator
from daemon.comfy.simulator.executions import Execution, read_executions
from daemon.retrying import POISON_AFTER_LOSSES
from ledger.status import Stage
from ledger.task import Task
from tests.fakes.waiting import until
from tests.fakes.world import (
    TWO_ROWS,
    World,
    executions,
    finish,
    free_port,
    kill,
    simulator_process,
)

TASKS = 3


def runs_of(simulated: Path) -> list[Execution]:
    return list(read_executions(simulated)) if (simulated / "executions.jsonl").exists() else []


async def done_by_a_new_server(world: World, simulated: Path, port: int) -> Task:
    """Start the server anew, let the daemon end the work, and return the one task, which is done."""
    server = await simulator_process(simulated, port, 0.1)
    try:
        code, log = await world.run("run", "--once")
    finally:
        await kill(server)
    assert code == 0, log
    (task,) = world.tasks()
    assert task.stage is Stage.DONE
    assert world.verify() == []
    return task


async def test_outputs_that_were_complete_are_adopted_and_never_made_again(tmp_path: Path) -> None:
    simulated, port = tmp_path / "comfyui", free_port()
    server = await simulator_process(simulated, port, 0.2)
    world = World(tmp_path / "world", f"http://127.0.0.1:{port}")
    world.drop("spring", TWO_ROWS[:1])
    daemon = await world.daemon("run", ROWKEEPER_FAILPOINT="comfy.submit.after@1")
    await daemon.wait()  # died before it could write down that the prompt was accepted
    await until(lambda: any(run.result == "success" for run in runs_of(simulated)))
    await kill(server)
    task = await done_by_a_new_server(world, simulated, port)
    assert (task.metadata.adopted, task.attempt) == (True, 1)
    assert (task.possible_duplicate, task.lost_by_server) == (False, 0)
    assert executions(simulated).total() == 1


async def test_a_run_killed_in_the_middle_is_made_again_and_counted_as_lost(tmp_path: Path) -> None:
    simulated, port = tmp_path / "comfyui", free_port()
    server = await simulator_process(simulated, port, 3.0)
    world = World(tmp_path / "world", f"http://127.0.0.1:{port}")
    world.drop("spring", TWO_ROWS[:1])
    daemon = await world.daemon("run")
    await until(lambda: [t.stage for t in world.tasks()] == [Stage.RUNNING])
    await kill(daemon)
    await kill(server)
    task = await done_by_a_new_server(world, simulated, port)
    assert (task.lost_by_server, task.attempt) == (1, 2)
    assert not task.possible_duplicate
    assert executions(simulated).total() == 2


async def test_a_submission_that_nobody_can_know_about_is_marked(tmp_path: Path) -> None:
    simulated, port = tmp_path / "comfyui", free_port()
    server = await simulator_process(simulated, port, 3.0)
    world = World(tmp_path / "world", f"http://127.0.0.1:{port}")
    world.drop("spring", TWO_ROWS[:1])
    daemon = await world.daemon("run", ROWKEEPER_FAILPOINT="comfy.submit.after@1")
    await daemon.wait()
    await until(lambda: runs_of(simulated))
    await kill(server)  # it had begun, and forgot; our ledger says only "submitting"
    task = await done_by_a_new_server(world, simulated, port)
    assert (task.possible_duplicate, task.attempt) == (True, 1)


async def test_the_files_of_another_ledgers_task_of_the_same_id_are_never_adopted(
    tmp_path: Path,
) -> None:
    async with Simulator(tmp_path / "comfyui") as simulator:
        first = World(tmp_path / "first", simulator.url)
        first.drop("spring", TWO_ROWS[:1])
        assert await first.run_here() == 0
        second = World(tmp_path / "second", simulator.url)
        second.drop("spring", [{**TWO_ROWS[1], "workflow_type": "图片合成"}])
        simulator.pace.seconds_per_job = 5
        daemon = await second.daemon("run", ROWKEEPER_FAILPOINT="comfy.submit.after@1")
        await daemon.wait()
        await simulator.restart()  # before the second ledger's prompt made anything
        simulator.pace.seconds_per_job = 0
        assert await second.run_here() == 0
        (mine,), (theirs,) = second.tasks(), first.tasks()
        assert mine.task_id == theirs.task_id
        assert (mine.stage, mine.metadata.adopted) == (Stage.DONE, False)
        assert mine.outputs[0].sha256 != theirs.outputs[0].sha256


def shown_right(task: Task, simulated: Path) -> None:
    """Each execution beyond the one that counted died with its server."""
    runs = [run for run in runs_of(simulated) if run.task_id == task.task_id]
    ended = [run for run in runs if run.result == "success"]
    killed = [run for run in runs if run.result is None]
    # a server killed between writing its last file and noting the end left files to adopt
    adopted = not ended and bool(killed) and task.metadata.adopted
    assert len(ended) == 1 or adopted, (runs, task)
    assert len(runs) == len(ended) + len(killed)
    assert task.lost_by_server <= len(killed)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("shard", range(4))
async def test_killed_at_random_together_and_alone_every_row_is_done_and_no_success_repeated(
    shard: int, tmp_path: Path
) -> None:
    luck = random.Random(1000 + shard)
    simulated, port = tmp_path / "comfyui", free_port()
    world = World(tmp_path / "world", f"http://127.0.0.1:{port}")
    world.drop("spring", TWO_ROWS)
    server = await simulator_process(simulated, port, 0.3)
    server_deaths = 0
    try:
        for _ in range(5):
            daemon = await world.daemon("run")
            await asyncio.sleep(luck.uniform(0.6, 2.2))  # the kill's instant is the experiment
            # a row whose server died POISON_AFTER_LOSSES times is blamed for it, by design
            may_die = server_deaths < POISON_AFTER_LOSSES - 1
            victims = luck.choice(["daemon", "server", "both"] if may_die else ["daemon"])
            server_deaths += victims != "daemon"
            if victims != "daemon":
                await kill(server)
            if victims == "server":
                await asyncio.sleep(luck.uniform(0, 0.5))
            await kill(daemon)
            if victims != "daemon":
                server = await simulator_process(simulated, port, 0.3)
        code, log = await world.run("run", "--once")
        assert code == 0, log
        assert world.stages() == Counter({Stage.DONE: TASKS})
        for task in world.tasks():
            shown_right(task, simulated)
        assert world.verify() == []
    finally:
        await kill(server)


async def test_the_second_daemon_exits_with_3_and_names_the_first(tmp_path: Path) -> None:
    world = World(tmp_path / "world", "http://127.0.0.1:9")
    first = await world.daemon("run")
    await until(lambda: (world.ledger / "ledger.lock").exists() and world.inbox.exists())
    code, log = await world.run("run", "--once")
    assert code == 3, log
    assert str(first.pid) in log
    first.send_signal(signal.SIGTERM)
    code, log = await finish(first, 10)
    assert code == 0, log


async def test_reading_commands_speak_json_beside_a_running_daemon(tmp_path: Path) -> None:
    world = World(tmp_path / "world", "http://127.0.0.1:9")
    world.drop("spring", TWO_ROWS)
    daemon = await world.daemon("run")
    await until(lambda: len(world.tasks()) == TASKS)
    try:
        for command in (["tasks"], ["status"], ["task", world.tasks()[0].task_id]):
            reader = await world.daemon("--json", *command)
            out, err = await reader.communicate()
            assert reader.returncode == 0, err
            assert isinstance(json.loads(out), dict)
    finally:
        await kill(daemon)
