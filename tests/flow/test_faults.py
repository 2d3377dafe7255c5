"""Whatever servers and networks do: one execution per task, and no row fails for their fault."""

import asyncio
from collections import Counter
from pathlib import Path

import pytest

from daemon.comfy.simulator import Simulator
from daemon.dispatch.lane import IDLE_SECONDS
from ledger.status import Stage
from ledger.task import Task
from tests.fakes.clock import QuickClock
from tests.fakes.world import SMALL_GRAPH, TWO_ROWS, World

TASKS = 3


def shown_done_once(world: World, *simulators: Simulator) -> list[Task]:
    """Every row is done and was executed exactly once; returns the tasks."""
    tasks = world.tasks()
    assert Counter(task.stage for task in tasks) == Counter({Stage.DONE: TASKS})
    runs: Counter[str] = Counter()
    for simulator in simulators:
        runs += simulator.executions.per_task()
    assert runs == Counter({task.task_id: 1 for task in tasks})
    assert world.verify() == []
    return tasks


@pytest.mark.parametrize("fault", ["lost_answer", "error_after_accept"])
async def test_a_lost_answer_is_settled_from_the_queue_and_nothing_is_posted_twice(
    fault: str, tmp_path: Path
) -> None:
    async with Simulator(tmp_path / "comfyui") as simulator:
        simulator.faults.next(fault, TASKS)
        world = World(tmp_path / "world", simulator.url)
        world.drop("spring", TWO_ROWS)
        assert await world.run_here() == 0
        tasks = shown_done_once(world, simulator)
        assert simulator.faults.struck[fault] == TASKS
        assert not any(task.possible_duplicate for task in tasks)


async def test_an_error_before_accepting_is_submitted_again_and_marked(tmp_path: Path) -> None:
    async with Simulator(tmp_path / "comfyui") as simulator:
        simulator.faults.next("error_before_accept")
        world = World(tmp_path / "world", simulator.url)
        world.drop("spring", TWO_ROWS)
        assert await world.run_here() == 0
        tasks = shown_done_once(world, simulator)
        assert [task.possible_duplicate for task in tasks].count(True) == 1
        assert all(task.attempt == 1 for task in tasks)


async def test_an_uncertain_row_waits_for_a_person_when_settings_say_so(tmp_path: Path) -> None:
    async with Simulator(tmp_path / "comfyui") as simulator:
        simulator.faults.set("error_before_accept")
        world = World(tmp_path / "world", simulator.url, on_uncertain="ask")
        row = {"workflow_type": "图生视频", "image": "cup.png", "product_name": "茶杯"}
        world.drop("video", [row])
        assert await world.run_here() == 1
        (video,) = world.tasks()
        assert video.stage is Stage.SUBMITTING
        assert "person" in (video.blocked_by or "")
        assert not video.possible_duplicate
        assert simulator.faults.struck["error_before_accept"] == 1


async def test_thirty_seconds_of_dead_server_delay_rows_and_fail_none(tmp_path: Path) -> None:
    clock = QuickClock(speed=10)
    async with Simulator(tmp_path / "comfyui", seconds_per_job=0.1) as simulator:
        world = World(tmp_path / "world", simulator.url)
        world.drop("spring", TWO_ROWS)
        simulator.faults.next("refuse", seconds=3.0)  # 30 s of the daemon's time
        assert await world.run_here(clock=clock) == 0
        assert simulator.faults.struck["refuse"] == 1
        shown_done_once(world, simulator)


async def test_a_websocket_that_is_silent_for_ever_costs_only_time(tmp_path: Path) -> None:
    async with Simulator(tmp_path / "comfyui", seconds_per_job=0.1) as simulator:
        simulator.faults.set("silent_websocket")
        world = World(tmp_path / "world", simulator.url)
        world.drop("spring", TWO_ROWS)
        assert await world.run_here() == 0
        shown_done_once(world, simulator)


@pytest.mark.parametrize("fault", ["truncated_view", "corrupt_view"])
async def test_a_download_that_arrives_broken_is_fetched_again_not_run_again(
    fault: str, tmp_path: Path
) -> None:
    async with Simulator(tmp_path / "comfyui") as simulator:
        simulator.faults.next(fault)
        world = World(tmp_path / "world", simulator.url)
        world.drop("spring", TWO_ROWS)
        assert await world.run_here() == 0
        assert simulator.faults.struck[fault] == 1
        shown_done_once(world, simulator)


async def test_the_picture_of_another_row_is_never_taken_for_a_result(tmp_path: Path) -> None:
    async with Simulator(tmp_path / "comfyui") as simulator:
        world = World(tmp_path / "world", simulator.url)
        world.drop("spring", TWO_ROWS)
        assert await world.run_here() == 0
        simulator.faults.next("cached_success")
        world.drop("summer", [row | {"prompt": "summer"} for row in TWO_ROWS])
        assert await world.run_here() == 0
        assert simulator.faults.struck["cached_success"] == 1
        assert world.stages() == Counter({Stage.DONE: 2 * TASKS})
        for task in world.tasks():
            assert {output.subfolder for output in task.outputs} == {task.output_prefix}
        assert world.verify() == []


async def test_a_restarted_server_has_forgotten_and_the_lost_row_runs_again(tmp_path: Path) -> None:
    async with Simulator(tmp_path / "comfyui", seconds_per_job=0.5) as simulator:
        simulator.faults.next("restart")
        world = World(tmp_path / "world", simulator.url)
        world.drop("spring", TWO_ROWS)
        assert await world.run_here() == 0
        tasks = world.tasks()
        assert world.stages() == Counter({Stage.DONE: TASKS})
        assert sum(task.lost_by_server for task in tasks) == 1
        assert not any(task.possible_duplicate for task in tasks)
        assert simulator.executions.per_task().total() == TASKS + 1
        assert world.verify() == []


async def test_a_half_written_output_is_not_adopted(tmp_path: Path) -> None:
    async with Simulator(tmp_path / "comfyui", seconds_per_job=0.3) as simulator:
        simulator.faults.next("half_written_output")
        world = World(tmp_path / "world", simulator.url)
        world.drop("spring", TWO_ROWS[:1])
        assert await world.run_here() == 0
        (task,) = world.tasks()
        assert (task.stage, task.lost_by_server, task.attempt) == (Stage.DONE, 1, 2)
        assert world.verify() == []


async def test_a_row_that_always_fails_ends_with_the_nodes_message_and_no_path(
    tmp_path: Path,
) -> None:
    clock = QuickClock(speed=20)
    async with Simulator(tmp_path / "comfyui") as simulator:
        simulator.faults.set("execution_error")
        world = World(tmp_path / "world", simulator.url, max_auto_retries=2)
        world.drop("spring", TWO_ROWS)
        assert await world.run_here(clock=clock) == 1
        failed = [task for task in world.tasks() if task.stage is Stage.FAILED]
        assert len(failed) == 2
        for task in failed:
            assert (task.attempt, task.auto_retries, task.status) == (3, 2, "失败")
            assert task.error_kind == "execution_error"
            assert task.error_message
            assert "Traceback" not in task.error_message
            assert "/" not in task.error_message
        (video,) = [task for task in world.tasks() if task.stage is Stage.WAITING]
        assert "failed" in (video.blocked_by or "")
        assert simulator.executions.per_task().total() == 6


async def test_a_row_that_no_server_can_run_waits_with_the_reason_and_nothing_is_posted(
    tmp_path: Path,
) -> None:
    async with Simulator(tmp_path / "comfyui") as simulator:
        simulator.faults.set("missing_class", target="ImageAddNoise")
        world = World(tmp_path / "world", simulator.url)
        world.drop("spring", TWO_ROWS[:1])
        assert await world.run_here() == 1
        (task,) = world.tasks()
        assert task.stage is Stage.WAITING
        assert (task.error_kind, task.blocked_by) == ("missing_node", None)
        assert "ImageAddNoise" in (task.error_message or "")
        assert task.attempt == 0
        state = world.batches()
        assert [(batch.held, batch.status) for batch in state] == [("missing_node", "running")]
        assert len(simulator.executions) == 0


async def test_rows_that_cannot_be_filled_in_fail_one_after_another_without_a_pause(
    tmp_path: Path,
) -> None:
    async with Simulator(tmp_path / "comfyui") as simulator:
        (tmp_path / "world").mkdir()
        template = tmp_path / "world" / "page.json"
        template.write_text(SMALL_GRAPH, encoding="utf-8")
        more = f'[workflows."纸"]\ntemplate = "{template}"\ninputs = {{width = "page.width"}}'
        world = World(tmp_path / "world", simulator.url, more=more)
        rows = [{"row_number": str(n), "workflow_type": "纸", "width": "wide"} for n in range(30)]
        world.drop("spring", rows)
        assert await world.run_here(seconds=4 * IDLE_SECONDS) == 1
        assert {task.error_kind for task in world.tasks()} == {"bad_input"}
        assert world.stages() == {Stage.FAILED: 30}


async def test_a_dead_server_leaves_its_rows_to_the_living_one(tmp_path: Path) -> None:
    async with Simulator(tmp_path / "comfyui") as simulator:
        world = World(tmp_path / "world", "http://127.0.0.1:9", simulator.url)
        world.drop("spring", TWO_ROWS)
        assert await world.run_here() == 0
        tasks = shown_done_once(world, simulator)
        assert {task.server for task in tasks} == {"gpu-1"}


async def test_two_servers_share_the_rows(tmp_path: Path) -> None:
    async with (
        Simulator(tmp_path / "one", seconds_per_job=0.2) as one,
        Simulator(tmp_path / "two", seconds_per_job=0.2) as two,
    ):
        world = World(tmp_path / "world", one.url, two.url, max_in_flight=1)
        rows = [{**TWO_ROWS[0], "row_number": str(number)} for number in range(1, 7)]
        world.drop("spring", rows)
        assert await world.run_here() == 0
        assert world.stages() == Counter({Stage.DONE: 6})
        assert len(one.executions) + len(two.executions) == 6
        assert min(len(one.executions), len(two.executions)) >= 2


async def test_what_waits_for_a_server_is_told_as_held_and_not_as_failed(tmp_path: Path) -> None:
    async with Simulator(tmp_path / "comfyui") as simulator:
        url = simulator.url
        world = World(tmp_path / "world", url)
        world.drop("spring", TWO_ROWS[:1])
        await simulator.stop()
        running = asyncio.create_task(world.run_here())
        while not (held := [b.held for b in world.batches()]) or held == [None]:
            await asyncio.sleep(0.05)
        assert held == ["server_unreachable"]
        await simulator.start()
        assert await running == 0
        shown = world.tasks()
        assert [task.stage for task in shown] == [Stage.DONE]
        assert [batch.held for batch in world.batches()] == [None]


async def test_what_waits_for_a_drained_server_is_not_told_to_wait_for_one_that_is_away(
    tmp_path: Path,
) -> None:
    async with Simulator(tmp_path / "comfyui") as simulator:
        world = World(tmp_path / "world", simulator.url)
        code, said = await world.run("server", "gpu-0", "drain")
        assert code == 0, said
        world.drop("spring", TWO_ROWS[:1])
        running = asyncio.create_task(world.run_here())
        while "server_drained" not in (held := [batch.held for batch in world.batches()]):
            assert held in ([], [None], ["server_unreachable"])  # before its first answer
            await asyncio.sleep(0.05)
        code, said = await world.run("server", "gpu-0", "resume")
        assert code == 0, said
        assert await running == 0
        assert [batch.held for batch in world.batches()] == [None]
