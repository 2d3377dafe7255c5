"""Every verb from eight command lines at once while a daemon works: nothing is lost or doubled."""

import asyncio
import random
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from daemon.comfy.simulator import Simulator
from ledger.jsondir.reader import history, read_state
from ledger.status import OPEN_STAGES, Stage
from ledger.task import Task
from tests.fakes.world import World, finish, small_rows, small_world

ROWS, RERUN_ROWS, COMMAND_LINES = 200, 10, 8
#: How often each command is given; ``{spring}``, ``{failed}`` and the like are filled in then.
COMMANDS = {
    "batch {spring} pause": 3,
    "batch {spring} resume": 5,
    "batch {spring} stop": 2,
    "batch {spring} stop --interrupt": 2,
    "batch {spring} retry-failed": 2,
    "batch {summer} rerun --yes": 2,
    "retry {failed}": 5,
    "cancel {waiting}": 3,
    "cancel {inside}": 3,
    "server gpu-1 drain": 2,
    "server gpu-1 resume": 2,
    "recover": 1,
    "recover --force": 1,
    "stuck": 1,
    "batches": 1,
    "tasks": 1,
}
REFUSED = {
    *(
        f"cannot_{verb}_{status}"
        for verb in ("pause", "resume")
        for status in ("running", "stopped")
    ),
    *(f"cannot_{verb}_completed" for verb in ("pause", "resume", "stop")),
    "retry_done",
    "retry_open",
    "retry_family_open",
    "retry_family_done",
}


class Said(NamedTuple):
    """A command as it was given, its exit code and its document."""

    words: list[str]
    code: int
    document: dict[str, Any]


def filled_in(world: World, command: str) -> list[str]:
    """Name the batches, and the task of each kind that other command lines now name as well."""
    tasks, batches = world.tasks(), [batch for batch in world.batches() if not batch.rerun_of]
    failed = [each for each in tasks if each.stage is Stage.FAILED and not each.retry_count]
    waiting = [each for each in tasks if each.stage is Stage.WAITING]
    inside = [each for each in tasks if each.stage in (Stage.QUEUED, Stage.RUNNING)]
    return command.format(
        **{batch.name.partition(".")[0]: batch.batch_id for batch in batches},
        failed=(failed or tasks)[0].task_id,
        waiting=(waiting or tasks)[-1].task_id,
        inside=(inside or tasks)[-1].task_id,
    ).split()


async def command_line(world: World, commands: list[str], said: list[Said]) -> None:
    while commands:
        words = filled_in(world, commands.pop())
        code, document = await world.asked(*words)
        said.append(Said(words, code, document))


async def all_verbs_at_once(world: World) -> list[Said]:
    commands = [command for command, times in COMMANDS.items() for _ in range(times)]
    random.Random(8).shuffle(commands)
    said: list[Said] = []
    async with asyncio.TaskGroup() as group:
        for _ in range(COMMAND_LINES):
            group.create_task(command_line(world, commands, said))
    return said


async def is_at_work(world: World) -> None:
    """Wait until both batches are accepted, and some rows are done and some failed."""
    async with asyncio.timeout(30):
        while True:
            stages = world.stages()
            if stages[Stage.DONE] > 15 and stages[Stage.FAILED] > 3 and len(world.batches()) > 1:
                return
            await asyncio.sleep(0.05)


async def goes_on_to_the_end(world: World) -> None:
    await world.asked("server", "gpu-1", "resume")
    spring = filled_in(world, "{spring}")[0]
    await world.asked("batch", spring, "resume")  # or it is refused: the batch runs, or has ended
    async with asyncio.timeout(60):
        while any(task.stage in OPEN_STAGES for task in world.tasks()):
            await asyncio.sleep(0.1)


def successes(*simulators: Simulator) -> Counter[str]:
    return Counter(
        run.task_id
        for simulator in simulators
        for run in simulator.executions.all()
        if run.task_id and run.result == "success"
    )


def every_answer_is_good(said: list[Said]) -> None:
    for words, code, document in said:
        if code == 0:
            continue
        assert code == 1, (words, document)
        assert words[0] == "stuck" or document["error"]["code"] in REFUSED, (words, document)


def what_was_promised_is_there(world: World, said: list[Said]) -> None:
    """Each task and batch that an answer named is in the ledger, and no others."""
    good = [each for each in said if each.code == 0]
    retries = [each.document["new_task_id"] for each in good if each.words[0] == "retry"]
    for each in good:
        retries += each.document.get("new_task_ids", [])
    reruns = [each.document["batch_id"] for each in good if "rerun" in each.words]
    tasks, batches = world.tasks(), world.batches()
    assert sorted(retries) == sorted(task.task_id for task in tasks if task.retried_from)
    assert sorted(reruns) == sorted(batch.batch_id for batch in batches if batch.rerun_of)
    assert len(tasks) == ROWS + RERUN_ROWS * (1 + len(reruns)) + len(retries)
    for task_id in retries:
        assert history(world.ledger, task_id)[0].actor.startswith("cli:")
    stages = {task.task_id: task.stage for task in tasks}
    for each in good:
        if each.words[0] == "cancel" and each.document["stage"] == Stage.CANCELLED.value:
            assert stages[each.document["task_id"]] is Stage.CANCELLED


def is_one_line(family: list[Task]) -> bool:
    """Say whether its members were made one after the other, and none after one that is done."""
    numbers = [task.retry_number for task in family]
    done = [task for task in family if task.stage is Stage.DONE]
    return numbers == list(range(len(family))) and done in ([], family[-1:])


@pytest.mark.timeout(200)
async def test_eight_command_lines_at_once_lose_and_double_nothing(tmp_path: Path) -> None:
    async with (
        Simulator(tmp_path / "one", seconds_per_job=0.05) as one,
        Simulator(tmp_path / "two", seconds_per_job=0.05) as two,
    ):
        for simulator in (one, two):
            simulator.faults.set("execution_error", 0.15)
        world = small_world(tmp_path / "world", one.url, two.url)
        world.drop("spring", small_rows(ROWS, "spring"))
        world.drop("summer", small_rows(RERUN_ROWS, "summer", urgent=RERUN_ROWS))
        daemon = await world.daemon("run")
        ended = asyncio.create_task(finish(daemon, 180))
        try:
            await is_at_work(world)
            said = await all_verbs_at_once(world)
            code, found = await world.run("ledger", "verify")  # beside the running daemon
            assert code == 0, found
            for simulator in (one, two):
                simulator.faults.clear()
            await goes_on_to_the_end(world)
        finally:
            daemon.terminate()
            code, log = await ended
        assert code == 0, log
        assert len(said) == sum(COMMANDS.values())
        every_answer_is_good(said)
        what_was_promised_is_there(world, said)
        tasks = world.tasks()
        done = {task.task_id for task in tasks if task.stage is Stage.DONE}
        assert successes(one, two) == Counter(dict.fromkeys(done, 1))
        families: dict[tuple[str, str], list[Task]] = {}
        for task in tasks:
            families.setdefault(task.family, []).append(task)
        assert all(is_one_line(family) for family in families.values())
        assert not any(task.requested for task in tasks)
        assert read_state(world.ledger).damage == []
        assert world.verify() == []
