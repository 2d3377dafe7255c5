"""The inbox service with the real file system, watchdog and clock."""

import asyncio
import contextlib
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
from daemon.intake.watching import Watch
from daemon.running import run_services
from ledger.memory import MemoryBackend
from tests.fakes.waiting import until
from tests.unit.intake.house import House

EXAMPLE = Path(__file__).parents[2] / "config" / "examples" / "jobs" / "spring"
GOOD = "壶,小美,图片合成,p.png,m.png"


@contextlib.asynccontextmanager
async def house_at_work(
    folder: Path, *, settle_seconds: float, wait_seconds: float
) -> AsyncIterator[House]:
    """A house whose inbox looks only when it is told to: the rescan is an hour away."""
    made = House(folder, MemoryBackend())
    made.clock = SystemClock()
    settings = InboxSettings(
        path=made.path,
        settle_seconds=settle_seconds,
        rescan_seconds=3600,
        wait_for_pictures_seconds=wait_seconds,
    )
    await made.ledger.open()
    made.inbox = Inbox(settings, made.intake, made.ledger, made.clock, made.words)
    stop = asyncio.Event()
    service = asyncio.ensure_future(run_services([made.inbox], stop, grace_seconds=5))
    await until(lambda: made.inbox.idle and watchers())
    yield made
    stop.set()
    await service
    await made.ledger.close()


def watchers() -> list[EventEmitter]:
    return [each for each in threading.enumerate() if isinstance(each, EventEmitter)]


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with house_at_work(tmp_path, settle_seconds=0.2, wait_seconds=0.5) as made:
        yield made


@pytest.fixture
async def patient(tmp_path: Path) -> AsyncIterator[House]:
    """A house in which a file that is written takes an hour to settle."""
    async with house_at_work(tmp_path, settle_seconds=3600, wait_seconds=3600) as made:
        yield made


async def test_a_file_that_is_moved_into_the_inbox_is_taken_within_a_moment(house, tmp_path):
    made = tmp_path / "a.json"
    made.write_text("[3]")
    os.utime(made, (1, 1))
    made.rename(house.path / "a.json")
    await until(lambda: house.filed("rejected") == ["a.json", "a.json.rejected.csv"])
    assert house.left() == []


async def test_what_is_renamed_into_the_inbox_counts_at_once_however_new_it_is(patient, tmp_path):
    patient.make("new.json", "[3]")
    made = tmp_path / "a.json"
    made.write_text("[3]")
    made.rename(patient.path / "a.json")  # from outside: the system tells of no old name
    await until(lambda: patient.filed("rejected") == ["a.json", "a.json.rejected.csv"])
    patient.make("b.json.tmp", "[3]").rename(patient.path / "b.json")
    await until(lambda: "b.json" in patient.filed("rejected"))
    assert patient.left() == ["new.json"]


async def test_a_folder_with_its_pictures_counts_at_once_when_it_is_renamed(patient):
    made = patient.folder_drop(".spring", GOOD)
    (made / ".spring.csv").rename(made / "spring.csv")
    made.rename(patient.path / "spring")
    await until(lambda: patient.left() == [])
    assert patient.filed("accepted") == ["m.png", "p.png", "spring.csv"]
    (task,) = patient.tasks()
    assert {each.name for each in task.inputs.values()} == {"m.png", "p.png"}


async def test_pictures_that_are_renamed_in_after_their_job_file_count_at_once(patient, tmp_path):
    patient.draw("p.png.tmp.png").rename(tmp_path / "p.png")
    patient.draw("m.png.tmp.png").rename(tmp_path / "m.png")
    heading = "产品名,模特名,工作流类型,产品图,模特图"
    patient.make("a.csv.tmp", f"{heading}\n{GOOD}").rename(patient.path / "a.csv")
    await until(lambda: patient.inbox.lying == 1)
    for name in ("p.png", "m.png"):
        assert patient.tasks() == []
        (tmp_path / name).rename(patient.path / name)
        await asyncio.sleep(0.2)  # so that they are seen at two looks: that is the experiment
    await until(lambda: patient.left() == ["m.png", "p.png"])  # others may name them, too
    (task,) = patient.tasks()
    assert {each.name for each in task.inputs.values()} == {"m.png", "p.png"}


async def test_a_rename_that_is_noted_while_a_look_begins_is_known_to_the_next_one(tmp_path):
    watch = Watch(tmp_path, asyncio.get_running_loop(), asyncio.Event())
    note = watch._renamed.add  # watchdog's thread stands here when the loop gets its turn
    assert watch.look() == frozenset()
    note("a.csv")
    assert watch.look() == {"a.csv"}
    assert watch.look() == frozenset()


async def test_a_file_that_is_written_to_after_it_was_renamed_in_has_to_settle(patient, tmp_path):
    for name in ("a.json", "b.json"):
        (tmp_path / name).write_text("[3]")
    (tmp_path / "a.json").rename(patient.path / "a.json")
    with (patient.path / "a.json").open("a") as file:
        file.write("\n")
    (tmp_path / "b.json").rename(patient.path / "b.json")
    await until(lambda: "b.json" in patient.filed("rejected"))
    assert patient.left() == ["a.json"]


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
    for emitter in watchers():
        emitter.stop()
        await asyncio.to_thread(emitter.join)
    assert not watchers()
    house.make("a.json", "[3]")
    await until(lambda: house.left() == [])
    assert house.filed("rejected") == ["a.json", "a.json.rejected.csv"]
