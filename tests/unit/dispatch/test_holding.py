"""What a review writes and logs of rows and batches that are held, and what it costs."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from config.settings import Server
from daemon.clock import SystemClock
from daemon.comfy.client import ComfyClient
from daemon.comfy.server import Health
from daemon.dispatch.holding import Holding
from daemon.dispatch.ready import ReadyRows
from daemon.dispatch.servers import ServerState
from ledger.jsondir.store import JsonDirBackend
from ledger.ledger import Ledger
from ledger.memory import MemoryBackend
from ledger.status import Stage
from ledger.task import Dependency, Task
from tests.fakes.clock import FakeClock
from tests.fakes.records import AT, batch_record, task_record


async def test_a_held_batch_is_logged_by_its_id_as_everywhere() -> None:
    ledger, clock = Ledger(MemoryBackend()), SystemClock()
    await ledger.open()
    await ledger.commit(batch_record(), task_record(), op="batch.accepted")
    ready = ReadyRows(ledger, clock, stage_order=False, affinity=True, takes_work=lambda _: False)
    await ready.load()
    with capture_logs() as logs:
        await Holding(ledger, ready, [], clock).review()
    assert logs == [
        {
            "event": "batch.held",
            "log_level": "info",
            "batch": batch_record().batch_id,
            "why": "server_unreachable",
        }
    ]


@pytest.fixture
async def client() -> AsyncIterator[ComfyClient]:
    client = ComfyClient("a", "http://127.0.0.1:9", clock=FakeClock())
    yield client
    await client.close()


def working(client: ComfyClient, ledger: Ledger) -> ServerState:
    state = ServerState(Server(name="a", url=""), client, ledger)
    state.health = Health(version="0.3.64", usable=True)
    return state


def take_all(ready: ReadyRows) -> list[Task]:
    """Take every ready row, find that server a cannot run it, and give it back."""
    taken = []
    while (task := ready.take("a", None, 0, lambda _: True)) is not None:
        ready.exclude(task, "a", "missing_model", "no such checkpoint")
        ready.give_back(task.task_id)
        taken.append(task)
    return taken


async def test_what_a_review_could_not_write_the_next_one_does(client: ComfyClient) -> None:
    ledger, clock = Ledger(backend := MemoryBackend()), FakeClock()
    await ledger.open()
    picture = task_record(1)
    needs = Dependency(row_id=picture.row_id, workflow_type=picture.workflow_type)
    video = task_record(
        2, row_id=picture.row_id, workflow_type="图生视频", task_id="vid_1", depends_on=needs
    )
    await ledger.commit(batch_record(), picture, video, task_record(3), op="batch.accepted")
    await ledger.commit(picture.moved(Stage.FAILED, at=AT), op="task.failed")
    ready = ReadyRows(ledger, clock)
    await ready.load()
    ledger.subscribe(ready.follow)
    (other,) = take_all(ready)
    holding = Holding(ledger, ready, [working(client, ledger)], clock)
    await ledger.commit(batch_record("other"), op="batch.accepted")
    backend.fail(OSError("full"))
    await holding.review()
    await ledger.reopen()
    await holding.review()
    assert (ledger.task("vid_1").blocked_by or "").startswith("dependency")
    assert ledger.task(other.task_id).error_kind == "missing_model"
    await ready.readmit("a")
    backend.fail(OSError("full"))
    await holding.review()
    await ledger.reopen()
    await holding.review()
    assert ledger.task(other.task_id).error_kind is None


async def test_a_review_reads_no_record_of_which_there_is_no_news(
    client: ComfyClient, tmp_path: Path
) -> None:
    ledger, clock = Ledger(JsonDirBackend(tmp_path / "ledger")), FakeClock()
    await ledger.open()
    rows = [task_record(number) for number in range(1, 601)]
    await ledger.commit(batch_record(), *rows, op="batch.accepted")
    ready = ReadyRows(ledger, clock)
    await ready.load()
    ledger.subscribe(ready.follow)
    assert len(take_all(ready)) == len(rows)
    holding = Holding(ledger, ready, [working(client, ledger)], clock)
    await holding.review()
    await ledger.compact()
    for path in (tmp_path / "ledger").rglob("*.*"):
        if path.is_file():
            path.write_bytes(b"")  # whatever is read now is damaged
    await holding.review()
    assert ledger.index.blocked_counts(rows[0].batch_id) == {1: 0, 2: 0}
