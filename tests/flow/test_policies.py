"""Each class of failure, end to end: what the simulator does to a row, and what becomes of it."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import pytest

from daemon import failpoint
from daemon.comfy.simulator import Simulator
from ledger.jsondir.journal import Line
from ledger.jsondir.reader import history
from ledger.shelf import decode_task
from ledger.status import Stage
from ledger.task import Task
from ledger.timestamps import from_timestamp
from tests.fakes.clock import QuickClock
from tests.fakes.world import TWO_ROWS, World

ONE_ROW = TWO_ROWS[:1]


@pytest.fixture
def reached() -> Iterator[Counter[str]]:
    """Count the named places that the daemon reaches."""
    counts: Counter[str] = Counter()

    def count(name: str) -> None:
        counts[name] += 1

    failpoint.arm(count)
    yield counts
    failpoint.arm(None)


def story(world: World, task: Task) -> list[tuple[Line, Task]]:
    lines = history(world.ledger, task.task_id)
    return [(line, decode_task(line.task)) for line in lines if line.task is not None]


def servers_tried(world: World, task: Task) -> list[str | None]:
    return [record.server for line, record in story(world, task) if line.op == "task.submitting"]


async def test_execution_errors_are_tried_again_after_a_growing_delay_that_is_shown(
    tmp_path: Path,
) -> None:
    async with Simulator(tmp_path / "comfyui") as simulator:
        simulator.faults.next("execution_error", 2)
        world = World(tmp_path / "world", simulator.url, max_auto_retries=2)
        world.drop("spring", ONE_ROW)
        assert await world.run_here(clock=QuickClock(speed=20)) == 0
        (task,) = world.tasks()
        assert (task.stage, task.attempt, task.auto_retries) == (Stage.DONE, 3, 2)
        failures = [record for line, record in story(world, task) if line.op == "task.fail"]
        waits = [
            (from_timestamp(each.not_before or "") - from_timestamp(each.updated_at)).seconds
            for each in failures
        ]
        assert waits[0] < waits[1]
        assert {each.error_kind for each in failures} == {"execution_error"}
        begun = [line.at for line, _ in story(world, task) if line.op == "task.submitting"]
        assert len(begun) == 3
        assert world.verify() == []


async def test_out_of_memory_frees_it_and_tries_there_again_then_elsewhere(
    tmp_path: Path, reached: Counter[str]
) -> None:
    async with Simulator(tmp_path / "one") as one, Simulator(tmp_path / "two") as two:
        for simulator in (one, two):
            simulator.faults.next("out_of_memory", 2)
        world = World(tmp_path / "world", one.url, two.url, max_auto_retries=3)
        world.drop("spring", ONE_ROW)
        assert await world.run_here(clock=QuickClock(speed=20)) == 1
        (task,) = world.tasks()
        first, second, third, fourth = servers_tried(world, task)
        assert (first, third) == (second, fourth)
        assert first != third
        assert (task.stage, task.error_kind) == (Stage.FAILED, "out_of_memory")
        assert reached["comfy.free.after"] == 2
        assert world.verify() == []


async def test_out_of_memory_once_costs_one_more_attempt(
    tmp_path: Path, reached: Counter[str]
) -> None:
    async with Simulator(tmp_path / "comfyui") as simulator:
        simulator.faults.next("out_of_memory")
        world = World(tmp_path / "world", simulator.url)
        world.drop("spring", ONE_ROW)
        assert await world.run_here(clock=QuickClock(speed=20)) == 0
        (task,) = world.tasks()
        assert (task.stage, task.attempt, reached["comfy.free.after"]) == (Stage.DONE, 2, 1)


async def test_a_row_too_large_for_the_only_server_fails_after_two_attempts(
    tmp_path: Path,
) -> None:
    async with Simulator(tmp_path / "comfyui") as simulator:
        simulator.faults.set("out_of_memory")
        world = World(tmp_path / "world", simulator.url, max_auto_retries=9)
        world.drop("spring", ONE_ROW)
        assert await world.run_here(clock=QuickClock(speed=20)) == 1
        (task,) = world.tasks()
        assert (task.stage, task.attempt) == (Stage.FAILED, 2)
        assert "out of memory" in (task.error_message or "")


async def test_what_somebody_interrupts_in_comfyui_is_not_begun_again(tmp_path: Path) -> None:
    async with Simulator(tmp_path / "comfyui", seconds_per_job=30) as simulator:
        world = World(tmp_path / "world", simulator.url, max_auto_retries=5)
        world.drop("spring", ONE_ROW)
        running = asyncio.create_task(world.run_here())
        async with aiohttp.ClientSession() as session:
            while Stage.RUNNING not in world.stages():
                await asyncio.sleep(0.05)
            await session.post(f"{simulator.url}/interrupt", json={})
        assert await running == 1
        (task,) = world.tasks()
        assert (task.stage, task.error_kind, task.attempt) == (Stage.FAILED, "interrupted", 1)


async def test_a_bad_output_is_fetched_twice_then_made_again_then_given_up(tmp_path: Path) -> None:
    async with Simulator(tmp_path / "comfyui") as simulator:
        simulator.faults.set("corrupt_view")
        world = World(tmp_path / "world", simulator.url, max_auto_retries=1)
        world.drop("spring", ONE_ROW)
        assert await world.run_here(clock=QuickClock(speed=20)) == 1
        (task,) = world.tasks()
        assert (task.stage, task.error_kind, task.attempt) == (Stage.FAILED, "bad_output", 2)
        assert simulator.faults.struck["corrupt_view"] == 4
        assert not [path for path in (world.state / "outputs").rglob("*") if path.is_file()]


async def test_a_node_that_goes_missing_holds_the_batch_and_burns_nothing(tmp_path: Path) -> None:
    clock = QuickClock(speed=20)
    rows = [{**ONE_ROW[0], "row_number": str(number)} for number in range(1, 5)]
    async with Simulator(tmp_path / "comfyui", seconds_per_job=0.2) as simulator:
        world = World(tmp_path / "world", simulator.url, max_in_flight=1)
        world.drop("spring", rows)
        running = asyncio.create_task(world.run_here(clock=clock))
        while len(simulator.executions) < 1:
            await asyncio.sleep(0.01)
        simulator.faults.set("missing_class", target="ImageAddNoise")
        assert await running == 1
        done = world.stages()[Stage.DONE]
        assert world.stages() == Counter({Stage.DONE: done, Stage.WAITING: 4 - done})
        assert [batch.held for batch in world.batches()] == ["missing_node"]
        assert sum(task.auto_retries for task in world.tasks()) <= 1  # of the one that ran then
        simulator.faults.clear()
        assert await world.run_here(clock=clock) == 0
        assert world.stages() == Counter({Stage.DONE: 4})
        assert simulator.executions.per_task().total() <= 5


async def test_a_row_that_kills_its_server_three_times_is_taken_for_the_cause(
    tmp_path: Path,
) -> None:
    async with Simulator(tmp_path / "comfyui", seconds_per_job=0.5) as simulator:
        simulator.faults.next("restart", 9)
        world = World(tmp_path / "world", simulator.url, max_auto_retries=0)
        world.drop("spring", ONE_ROW)
        assert await world.run_here() == 1
        (task,) = world.tasks()
        assert (task.stage, task.error_kind) == (Stage.FAILED, "poison")
        assert (task.attempt, task.auto_retries) == (3, 0)
        assert len(simulator.executions) == 3
