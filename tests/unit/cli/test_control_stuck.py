"""`stuck` and `recover` without a daemon, against a simulator; and doors that misbehave."""

import asyncio
import json
import os
import threading
from collections.abc import AsyncIterator, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from daemon.cli.acting import actor
from daemon.comfy.simulator import Simulator
from ledger.direct import DirectLedger
from ledger.jsondir.files import Disk
from ledger.jsondir.lock import FolderLock
from ledger.jsondir.reader import history, read_state
from ledger.status import Stage
from tests.fakes.records import AT, batch_record, task_record
from tests.fakes.world import World
from tests.unit.cli.test_control_door import cli

LOST = "img_20261121_000001"


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """A task that the ledger says runs, on a server that has never heard of it."""
    async with Simulator(tmp_path / "comfyui") as simulator:
        world = World(tmp_path / "world", simulator.url)
        prompt = "11111111-2222-4333-8444-555555555555"
        lost = task_record(
            1, Stage.RUNNING, server="gpu-0", comfyui_task_id=prompt, attempt=1, started_at=AT
        )
        with DirectLedger(world.ledger) as ledger:
            ledger.commit(batch_record(), lost, op="batch.accepted", actor="inbox")
        yield world


async def test_a_check_finds_the_stuck_task_and_changes_nothing(world: World) -> None:
    before = {path: path.read_bytes() for path in world.ledger.iterdir()}
    answer = await cli(world, "stuck")
    assert answer.code == 1
    (found,) = answer.document["stuck_tasks"]
    assert found["id"] == LOST
    assert "neither queue nor history of gpu-0 knows it" in found["stuck_reason"]
    assert {path: path.read_bytes() for path in world.ledger.iterdir()} == before


async def test_a_recovery_resets_it_once_and_the_journal_names_the_user(world: World) -> None:
    answer = await cli(world, "recover")
    assert (answer.code, answer.document["reset_task_ids"]) == (0, [LOST])
    assert read_state(world.ledger).tasks[LOST].stage is Stage.WAITING
    assert history(world.ledger, LOST)[-1].actor == actor()
    assert list((world.state / "ledger-backups").iterdir())
    again = await cli(world, "recover")
    assert again.document["reset_tasks"] == 0
    assert (await cli(world, "stuck")).code == 0
    assert world.verify() == []


async def test_two_recoveries_at_once_reset_it_once(world: World) -> None:
    answers = await asyncio.gather(cli(world, "recover"), cli(world, "recover"))
    assert [answer.code for answer in answers] == [0, 0]
    assert sorted(answer.document["reset_tasks"] for answer in answers) == [0, 1]
    assert world.verify() == []


async def test_a_runtime_that_makes_no_sense_is_bad_usage(world: World) -> None:
    for wrong in ("0", "-1", "never", "nan"):
        code, text = await world.run("stuck", "--max-runtime-minutes", wrong)
        assert code == 2, text


# -- doors that misbehave ------------------------------------------------------------------------


class Misbehaving(BaseHTTPRequestHandler):
    """Answers as its server's ``answer`` says."""

    def do_POST(self) -> None:
        self.server.seen.append(dict(self.headers))
        status, body = self.server.answer
        if not status:
            return  # the connection ends without an answer
        self.send_response(status)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Keep quiet."""


@pytest.fixture
def door(command) -> Iterator[HTTPServer]:
    """A door of this process, which holds the ledger."""
    command.record([batch_record()])
    lock = FolderLock(command.ledger, Disk())
    lock.take(AT)
    server = HTTPServer(("127.0.0.1", 0), Misbehaving)
    server.seen = []
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    address = {"url": f"http://127.0.0.1:{server.server_port}", "pid": os.getpid()}
    (command.state_dir / "web.json").write_text(json.dumps(address))
    (command.state_dir / "admin-token").write_text("secret-secret-secret\n")
    yield server
    server.shutdown()
    thread.join()
    server.server_close()
    lock.drop()


WRONG = {"code": "token_wrong", "message": "The token is wrong.", "hint": "Look.", "more": 1}


@pytest.mark.parametrize(
    ("answer", "exit_code", "code"),
    [
        ((401, json.dumps({"success": False, "error": WRONG}).encode()), 1, "token_wrong"),
        ((400, json.dumps({"success": False, "error": WRONG}).encode()), 2, "token_wrong"),
        ((500, b"<html>no JSON</html>"), 1, "door_silent"),
        ((200, b"[1]"), 1, "door_silent"),
        ((0, b""), 1, "door_silent"),
    ],
)
def test_what_a_door_refuses_or_fails_to_say_is_told(command, door, answer, exit_code, code):
    door.answer = answer
    error = command.json("batch", "spring-abc234", "pause", code=exit_code)["error"]
    assert error["code"] == code
    assert error["hint"]
    assert error["message"] in command.err


def test_behind_a_silent_door_the_files_are_read_and_that_is_told(command, door):
    door.answer = (0, b"")
    assert len(command.json("batches")["batches"]) == 1
    assert "The daemon does not answer" in command.err


def test_the_door_is_told_who_asks_in_which_language_and_with_the_token(command, door):
    door.answer = (200, b'{"success":true,"changed":true,"message":"m\\u001b[31mm"}')
    assert command("batch", "spring-abc234", "pause") == "m\ufffd[31mm\n"
    (headers,) = door.seen
    assert headers["Authorization"] == "Bearer secret-secret-secret"
    assert headers["X-Rowkeeper-Actor"] == actor()
    assert headers["Accept-Language"] == "en"
