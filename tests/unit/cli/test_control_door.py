"""The command line beside a running daemon, and many commands at once; all real processes."""

import asyncio
import json
import sys
from asyncio.subprocess import PIPE
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import quote

import msgspec
import pytest

from daemon.cli.acting import actor
from ledger.batch import BatchStatus
from ledger.direct import DirectLedger
from ledger.jsondir.check import verify
from ledger.jsondir.reader import history, read_state
from ledger.status import Stage
from tests.fakes.door import Door, open_door
from tests.fakes.records import AT, batch_record, task_record
from tests.fakes.world import ROOT, World

BATCH = "春季-spring-abc234"
STAGES = [Stage.DONE, Stage.FAILED, Stage.FAILED, Stage.WAITING, Stage.WAITING, Stage.CANCELLED]


class Answer(msgspec.Struct, frozen=True):
    """What a process left: its exit code, its one document, what it said on stderr."""

    code: int
    document: dict
    err: str


async def cli(world: World, *arguments: str) -> Answer:
    """Run one command in a process of its own, with ``--json``."""
    process = await world.daemon("--json", *arguments, LANG="C.UTF-8")
    async with asyncio.timeout(60):
        out, err = await process.communicate()
    assert process.returncode is not None
    assert out, err.decode()
    return Answer(process.returncode, json.loads(out), err.decode())


def task_id(number: int) -> str:
    return f"img_20261121_{number:06}"


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A paused batch whose server does not answer: nothing moves by itself."""
    world = World(tmp_path / "world", "http://127.0.0.1:1")
    tasks = [
        task_record(n, stage, batch_id=BATCH, row_id=f"{BATCH}:{n}")
        for n, stage in enumerate(STAGES, start=1)
    ]
    with DirectLedger(world.ledger) as ledger:
        batch = batch_record(BATCH, status=BatchStatus.PAUSED)
        ledger.commit(batch, *tasks, op="batch.accepted", actor="inbox")
    return world


@pytest.fixture
async def door(world: World) -> AsyncIterator[Door]:
    async with open_door(world) as door:
        yield door


STEPS = [
    (["batch", BATCH, "resume"], 0),
    (["batch", BATCH, "pause"], 0),
    (["batch", "春季", "pause"], 0),
    (["batch", BATCH, "stop", "--interrupt"], 0),
    (["retry", task_id(2)], 0),
    (["retry", task_id(2)], 1),
    (["retry", task_id(1)], 1),
    (["batch", BATCH, "retry-failed"], 0),
    (["batch", BATCH, "retry-failed"], 0),
    (["cancel", task_id(4)], 0),
    (["cancel", task_id(4)], 0),
    (["server", "gpu-0", "drain"], 0),
    (["server", "gpu-0", "drain"], 0),
    (["server", "gpu-0", "resume"], 0),
    (["server", "none", "drain"], 1),
    (["batch", BATCH, "rerun", "--stage", "1", "--set", "prompt=蓝", "--yes"], 0),
    (["batch", BATCH, "rerun", "--set", "workflow_type=x", "--yes"], 2),
    (["batch", BATCH, "rerun", "--stage", "2", "--yes"], 1),
    (["recover"], 0),
    (["stuck"], 0),
]


async def played(world: World) -> list[tuple[int, dict]]:
    """Play every step; the documents without what must differ from run to run."""
    answers = []
    for words, code in STEPS:
        answer = await cli(world, *words)
        assert answer.code == code, (words, answer)
        if code:
            assert answer.document["error"]["hint"] in answer.err
        new_batch = str(answer.document.get("batch_id")) if "rerun" in words else ""
        document = {
            key: value.replace(new_batch, "…") if new_batch and isinstance(value, str) else value
            for key, value in answer.document.items()
            if not (key == "batch_id" and "rerun" in words) and "new_task_id" not in key
        }
        answers.append((answer.code, document))
    return answers


async def test_every_verb_does_and_says_the_same_with_and_without_a_daemon(
    world: World, tmp_path: Path
) -> None:
    alone = World(tmp_path / "alone", "http://127.0.0.1:1")
    alone.ledger.mkdir(parents=True)
    for path in world.ledger.iterdir():
        (alone.ledger / path.name).write_bytes(path.read_bytes())
    without = await played(alone)
    async with open_door(world):
        assert await played(world) == without
    assert verify(world.ledger) == verify(alone.ledger) == []
    for each in (world, alone):
        assert history(each.ledger, task_id(2))[-1].actor == actor()
        assert [b.status for b in read_state(each.ledger).batches.values()] == [
            "stopped",
            "running",
        ]


async def test_reading_beside_a_daemon_shows_what_the_daemon_shows(
    world: World, door: Door
) -> None:
    assert (await cli(world, "servers")).document == (await door.get("/api/servers")).json
    tasks = (await cli(world, "tasks")).document
    assert tasks == (await door.get("/api/tasks")).json
    own = f"/api/batches/{quote(BATCH)}"
    for words, path in (
        (["batches"], "/api/batches"),
        (["batch", BATCH], own),
        (["batch", "春"], own),
    ):
        assert (await cli(world, *words)).document == (await door.get(path)).json
    english = {"Accept-Language": "en"}
    story = await door.get(f"/api/tasks/{task_id(2)}/story", headers=english)
    assert (await cli(world, "why", task_id(2))).document == story.json


@pytest.mark.usefixtures("door")
async def test_of_two_retries_at_the_same_moment_one_counts(world: World) -> None:
    answers = await asyncio.gather(*(cli(world, "retry", task_id(3)) for _ in range(2)))
    assert sorted(answer.code for answer in answers) == [0, 1]
    family = [task for task in world.tasks() if task.retried_from == task_id(3)]
    assert len(family) == 1


async def test_a_daemon_that_was_killed_leaves_no_door_and_the_command_takes_the_lock(
    world: World,
) -> None:
    daemon = await world.daemon("run")
    address = world.state / "web.json"
    async with asyncio.timeout(30):
        while not address.exists():
            await asyncio.sleep(0.02)
    assert (await cli(world, "batch", BATCH, "resume")).document["changed"] is True
    daemon.kill()
    await daemon.communicate()
    assert address.exists()
    answer = await cli(world, "batch", BATCH, "pause")
    assert (answer.code, answer.document["status"]) == (0, "paused")
    assert verify(world.ledger) == []


#: Most of what a command once took to start, beside a daemon that needed none of it.
SLOW_TO_IMPORT = {
    *("asyncio", "aiohttp", "structlog", "PIL", "openpyxl", "watchdog", "filelock"),
    *("json", "logging", "shutil", "difflib", "dataclasses"),
    *("orjson", "sortedcontainers", "isal", "ledger.index", "ledger.jsondir.reader"),
    *("daemon.words.feishu", "daemon.words.intake", "daemon.words.reasons", "daemon.words.web"),
}
THROUGH_THE_DOOR = [
    *(["status"], ["status", "--json"], ["tasks"], ["tasks", "--failed", "--json"]),
    *(["tasks", "--batch", "春季"], ["servers"], ["server", "gpu-0"], ["tables"]),
    *(["why", task_id(2)], ["batches"], ["batch", BATCH], ["batch", "春季", "--json"]),
    *(["server", "gpu-0", "drain"], ["batch", BATCH, "pause"], ["batch", "春季", "pause"]),
    *(["retry", task_id(2)], ["cancel", task_id(4)], ["stuck"], ["recover"]),
]


@pytest.mark.usefixtures("door")
@pytest.mark.parametrize("words", THROUGH_THE_DOOR, ids=" ".join)
async def test_a_command_beside_a_daemon_loads_only_what_it_needs_to_ask(
    world: World, words: list[str]
) -> None:
    program = (
        "import sys; from daemon.cli.main import exit_code\n"
        f"assert exit_code(['--config', {str(world.config)!r}, *{words}]) == 0\n"
        f"print(sorted({SLOW_TO_IMPORT} & sys.modules.keys()), file=sys.stderr)"
    )
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", program), cwd=ROOT, stdout=PIPE, stderr=PIPE
    )
    said, loaded = await process.communicate()
    assert loaded.decode() == "[]\n"
    assert said


CROWD = [
    ["batch", BATCH, "pause"],
    ["batch", BATCH, "resume"],
    ["retry", task_id(2)],
    ["retry", task_id(6)],
    ["cancel", task_id(4)],
    ["cancel", task_id(5)],
    ["batch", BATCH, "retry-failed"],
    ["server", "gpu-0", "drain"],
]


async def test_eight_commands_at_once_without_a_daemon_all_get_their_turn(world: World) -> None:
    answers = await asyncio.gather(*(cli(world, *words) for words in CROWD))
    assert_crowd_came_through(world, answers)


@pytest.mark.usefixtures("door")
async def test_eight_commands_at_once_through_the_door_all_get_their_turn(world: World) -> None:
    answers = await asyncio.gather(*(cli(world, *words) for words in CROWD))
    assert_crowd_came_through(world, answers)


def assert_crowd_came_through(world: World, answers: list[Answer]) -> None:
    codes = Counter(answer.document.get("error", {}).get("code", "") for answer in answers)
    refused = codes.keys() - {""}
    assert refused <= {"retry_family_open", "cannot_resume_running"}
    assert codes[""] >= 6
    assert verify(world.ledger) == []
    stages = Counter(task.stage for task in world.tasks())
    assert stages[Stage.FAILED] == 2
    assert stages[Stage.CANCELLED] == 3
    assert stages[Stage.WAITING] == 3  # the retries of 2, 3 and 6
    # a batch is not resumed while nothing in it is open: both may come after the cancels
    pause_and_resume = [answer.document for answer in answers[:2]]
    if any(document.get("changed") for document in pause_and_resume):
        assert world.batches()[0].updated_at > AT
