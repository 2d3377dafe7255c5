"""The daemon killed between a change and its answer: whoever asks again gets that answer."""

import asyncio
import json
from pathlib import Path

import aiohttp
import pytest

from ledger.batch import BatchStatus
from ledger.direct import DirectLedger
from ledger.status import Stage
from tests.fakes.door import Door, open_door
from tests.fakes.records import batch_record, task_record
from tests.fakes.world import World, finish

RETRY = "/api/tasks/img_20261121_000001/retry"
KEY = {"Idempotency-Key": "once"}


@pytest.fixture
def world(tmp_path: Path) -> World:
    world = World(tmp_path / "world", "http://127.0.0.1:9")
    with DirectLedger(world.ledger) as ledger:
        batch = batch_record(status=BatchStatus.PAUSED)
        ledger.commit(batch, task_record(1, Stage.FAILED), op="batch.accepted", actor="test")
    return world


async def post_to_one_that_dies(world: World, place: str) -> None:
    """Send the retry to a daemon that is killed at *place* before it can answer."""
    daemon = await world.daemon("run", ROWKEEPER_FAILPOINT=place)
    address = world.state / "web.json"
    async with asyncio.timeout(20), aiohttp.ClientSession() as session:
        while not address.exists():
            assert daemon.returncode is None, await finish(daemon)
            await asyncio.sleep(0.02)
        token = (world.state / "admin-token").read_text().strip()
        door = Door(session, json.loads(address.read_bytes())["url"], token)
        with pytest.raises(aiohttp.ClientError):
            await door.post(RETRY, headers=KEY)
    code, _ = await finish(daemon)
    assert code == -9


@pytest.mark.parametrize(
    ("place", "is_on_disk"), [("action.before_commit", False), ("action.after_commit", True)]
)
async def test_a_retry_cut_off_by_a_kill_is_made_once(
    world: World, place: str, is_on_disk: bool
) -> None:
    await post_to_one_that_dies(world, place)
    assert len(world.tasks()) == (2 if is_on_disk else 1)
    async with open_door(world) as door:
        answer = await door.post(RETRY, headers=KEY)
        assert answer.status == 200
        assert answer.json["retried_from"] == "img_20261121_000001"
        assert (await door.post(RETRY)).code == "retry_family_open"
    assert [task.task_id for task in world.tasks()][1:] == [answer.json["new_task_id"]]
    assert world.verify() == []
