"""A picture that goes, or cannot be read, between the look for it and its upload."""

import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from config.settings import Server, Workflow
from daemon.clock import SystemClock
from daemon.comfy.client import ComfyClient
from daemon.dispatch.pictures import TaskFiles
from daemon.dispatch.servers import ServerState
from daemon.dispatch.submission import Submission
from daemon.dispatch.workflow import Template
from ledger.ledger import Ledger
from ledger.memory import MemoryBackend
from ledger.status import Stage
from ledger.task import InputFile, Task
from tests.fakes.records import batch_record, task_record
from tests.fakes.replay import Request, json_answer, wire_server

TYPE = "抠图"
GRAPH = json.dumps(
    {
        "1": {"class_type": "LoadImage", "inputs": {"image": ""}, "_meta": {"title": "picture"}},
        "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "x"}},
    }
)
CLASSES = {
    "LoadImage": {"input": {"required": {"image": [["a.png"], {"image_upload": True}]}}},
    "SaveImage": {
        "input": {"required": {"images": ["IMAGE"], "filename_prefix": ["STRING"]}},
        "output_node": True,
    },
}
SHA256 = "5" * 64
TASK = task_record(
    1, workflow_type=TYPE, inputs={"image": InputFile(name="pot.png", sha256=SHA256, size_bytes=3)}
)


@pytest.fixture
async def ledger() -> AsyncIterator[Ledger]:
    ledger = Ledger(MemoryBackend())
    await ledger.open()
    await ledger.commit(batch_record(), TASK, op="batch.accepted")
    yield ledger
    await ledger.close()


async def submitted(ledger: Ledger, picture: Path, meanwhile: Callable[[], object]) -> Task:
    """Return what becomes of the task when something happens after its picture was seen."""
    workflow = Workflow(template=Path("cut.json"), inputs={"image": "picture.image"})
    template = Template.from_bytes(TYPE, workflow, GRAPH.encode())
    clock = SystemClock()

    async def answer(request: Request) -> bytes:
        meanwhile()
        return json_answer(CLASSES if request.path == "/object_info" else {})

    async with wire_server(answer) as server:
        client = ComfyClient("a", server.url, clock=clock)
        state = ServerState(Server(name="a", url=server.url), client, ledger)
        files = TaskFiles(input_path=lambda _: picture, output_path=Path)
        submission = Submission(ledger, clock, {TYPE: workflow}, {TYPE: template}, files)
        await submission.submit(TASK, state)
        await client.close()
    assert [each.path for each in server.requests] == ["/object_info"]  # nothing was sent
    return ledger.task(TASK.task_id)


async def test_a_picture_that_vanishes_before_its_upload_fails_its_row_alone(
    tmp_path: Path, ledger: Ledger
) -> None:
    picture = tmp_path / "picture"
    picture.write_bytes(b"png")
    task = await submitted(ledger, picture, lambda: picture.unlink(missing_ok=True))
    assert (task.stage, task.error_kind) == (Stage.FAILED, "bad_input")
    assert task.error_message == "input files are gone: pot.png"


async def test_a_picture_that_cannot_be_read_fails_its_row_with_what_the_system_says(
    tmp_path: Path, ledger: Ledger
) -> None:
    picture = tmp_path / "picture"
    picture.write_bytes(b"png")

    def loop_back() -> None:
        picture.unlink(missing_ok=True)
        picture.symlink_to(picture)

    task = await submitted(ledger, picture, loop_back)
    assert (task.stage, task.error_kind) == (Stage.FAILED, "bad_input")
    assert task.error_message is not None
    assert "pot.png cannot be read: Too many levels of symbolic links" in task.error_message
