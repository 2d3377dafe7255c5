"""The inbox service with the real file system, watchdog and clock."""

import asyncio
import os
import shutil
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from watchdog.observers.api import EventEmitter

from config.settings import Inbox as InboxSettings
from daemon.clock import SystemClock
from daemon.intake.inbox import Inbox
from daemon.running import run_services
from ledger.memory import MemoryBackend
from tests.fakes.waiting import until
from tests.unit.intake.house import House

EXAMPLE = Path(__file__).parents[2] / "config" / "examples" / "jobs" / "spring"
GOOD = "壶,小美,图片合成,p.png,m.png"


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    """A house whose inbox looks only when it is told to: the rescan is an hour away."""
    made = House(tmp_path, MemoryBackend())
    made.clock = SystemClock()
    settings = InboxSettings(
        path=made.path, settle_seconds=0.2, rescan_seconds=3600, wait_for_pictures_seconds=0.5
    )
    await made.ledger.open()
    made.inbox = Inbox(settings, made.intake, made.ledger, made.clock, made.words)
    stop = asyncio.Event()
    service = asyncio.ensure_future(run_services([made.inbox], stop, grace_seconds=5))
    await until(lambda: made.inbox.idle)
    yield made
    stop.set()
    await service
    await made.ledger.close()


async def test_a_file_that_is_moved_into_the_inbox_is_taken_within_a_moment(house, tmp_path):
    made = tmp_path / "a.json"
    made.write_text("[3]")
    os.utime(made, (1, 1))
    made.rename(house.path / "a.json")
    await until(lambda: house.filed("rejected") == ["a.json", "a.json.rejected.csv"])
    assert house.left() == []


async def test_a_file_is_taken_only_after_its_slow_writer_has_closed_it(house):
    house.draw("p.png")
    house.draw("m.png")
    lines = ["产品名,模特名,工作流类型,产品图,模特图\n", *(f"壶{n}{GOOD[1:]}\n" for n in range(8))]
    with (house.path / "slow.csv").open("w", encoding="utf-8") as file:
        for line in lines:
            file.write(line)
            file.flush()
            await asyncio.sleep(0.3)  # longer than it takes to settle: that is the experiment
            assert house.tasks() == []
    await until(lambda: len(house.tasks()) == 8)
    await until(lambda: house.filed("accepted") == ["slow.csv"])


async def test_the_packaged_example_copied_slowly_becomes_eight_tasks(house):
    target = house.path / "spring"
    target.mkdir()
    for source in sorted(EXAMPLE.iterdir(), reverse=True):
        shutil.copyfile(source, target / source.name)
        await asyncio.sleep(0.05)
    await until(lambda: len(house.tasks()) == 8)
    types = [task.workflow_type for task in house.tasks()]
    assert (types.count("图片合成"), types.count("图生视频")) == (5, 3)
    await until(lambda: house.left() == [])
    assert house.filed("rejected") == []


async def test_a_burst_of_files_is_taken_whole(house):
    for number in range(300):
        house.make(f"{number:03}.json", "[3]")
    await until(lambda: house.left() == [], seconds=30)
    reports = [name for name in house.filed("rejected") if name.endswith(".rejected.csv")]
    assert len(reports) == 300


async def test_an_inbox_that_is_removed_is_made_anew_and_watched_again(house, tmp_path):
    house.path.rename(tmp_path / "removed")  # at once: a folder removed bit by bit is refilled
    shutil.rmtree(tmp_path / "removed")
    await until(house.path.exists)
    await until((house.path / "accepted").exists)
    await asyncio.to_thread(house.make, "a.json", "[3]")
    await until(lambda: house.filed("rejected") == ["a.json", "a.json.rejected.csv"])
    await until(lambda: house.inbox.idle)
    assert house.left() == []


async def test_a_file_is_taken_also_when_the_watch_has_died_unnoticed(house):
    emitters = [thread for thread in threading.enumerate() if isinstance(thread, EventEmitter)]
    assert emitters
    for emitter in emitters:
        emitter.stop()
        await asyncio.to_thread(emitter.join)
    house.make("a.json", "[3]")
    await until(lambda: house.filed("rejected") == ["a.json", "a.json.rejected.csv"])
