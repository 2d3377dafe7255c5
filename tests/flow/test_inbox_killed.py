"""A process that takes in drops, daemon or command, is killed at every failpoint of the intake."""

import asyncio
import multiprocessing
import os
from collections import Counter
from pathlib import Path

import pytest

from config.settings import Inbox as InboxSettings
from daemon import failpoint
from daemon.intake.inbox import Inbox
from ledger.direct import DirectLedger
from ledger.jsondir.files import Disk
from ledger.jsondir.store import JsonDirBackend
from ledger.ledger import Ledger
from tests.unit.intake.house import House

DROPS = ["first", "spring", "beside.csv", "broken.csv"]
SPAWNED = multiprocessing.get_context("forkserver")
SPAWNED.set_forkserver_preload(["daemon.intake.inbox", "ledger.jsondir.store", "PIL.Image"])


def take_in(folder: Path, who: str, order: str | None, record: str | None = None) -> None:
    """Take in all that lies there, as *who* does; killed where *order* says."""
    if order:
        failpoint.arm(failpoint.kill_at(order))
    if record:
        failpoint.arm(failpoint.record_to(record))
    if who == "daemon":
        asyncio.run(_take_in(folder))
    else:
        _take_in_directly(folder)


def _take_in_directly(folder: Path) -> None:
    house = House(folder, JsonDirBackend(folder / "ledger"))
    with DirectLedger(folder / "ledger", disk=Disk(reached=failpoint.reach)) as ledger:
        ledger.know_archived()
        house.direct(settle_seconds=0).take(ledger, DROPS)


async def _take_in(folder: Path) -> None:
    house = House(folder, JsonDirBackend(folder / "ledger"))
    await house.ledger.open()
    settings = InboxSettings(path=house.path, settle_seconds=0, wait_for_pictures_seconds=0)
    house.inbox = Inbox(settings, house.intake, house.ledger, house.clock, house.words)
    while (await house.inbox.scan_once()).settling:
        pass
    await house.ledger.close()


def run(
    folder: Path, who: str = "daemon", order: str | None = None, record: str | None = None
) -> int | None:
    process = SPAWNED.Process(target=take_in, args=(folder, who, order, record))
    process.start()
    process.join(60)
    return process.exitcode


def prepare(folder: Path) -> None:
    """An old drop, then a drop with a good, a doubled, a bad and a two-stage row; a bad file."""
    folder.mkdir()
    house = House(folder, JsonDirBackend(folder / "ledger"))
    house.folder_drop("first", "old,小美,图片合成,p.png,m.png")
    house.folder_drop(
        "spring",
        "old,小美,图片合成,p.png,m.png",
        "new,小美,图片合成+图生视频,p.png,m.png",
        "bad,小美,画画,p.png,m.png",
    )
    house.make("broken.csv", "colour\nred\n")
    house.make("beside.csv", "产品名,产品图,模特图\nx,first.png,first.png\ny,gone.png,first.png")
    house.draw("first.png")
    for number, name in enumerate(("first/first.csv", "spring/spring.csv", "beside.csv")):
        os.utime(house.path / name, (number + 1, number + 1))


@pytest.fixture(scope="module", params=["daemon", "command"])
def who(request: pytest.FixtureRequest) -> str:
    """Who is killed; after it the daemon goes on."""
    return request.param


@pytest.fixture(scope="module")
def places(who: str, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder = tmp_path_factory.mktemp("places")
    prepare(folder / "house")
    assert run(folder / "house", who, record=str(folder / "reached")) == 0
    counts = Counter((folder / "reached").read_text("utf-8").split())
    assert len(counts) > 15, counts
    assert {"intake.before_commit", "intake.after_commit", "intake.forgotten"} < counts.keys()
    return [
        f"{name}@{number}"
        for name, count in counts.items()
        for number in ({1, count} if "after_" in name else {count})
    ]


async def shown_whole(folder: Path) -> None:
    """Every row is recorded once, every report is there once, every drop is where it belongs."""
    house = House(folder, JsonDirBackend(folder / "ledger"))
    house.ledger = Ledger(house.backend)
    await house.ledger.open()
    names = Counter((task.product_name, task.workflow_type) for task in house.tasks())
    wanted = [("old", "图片合成"), ("new", "图片合成"), ("new", "图生视频"), ("x", "图片合成")]
    assert names == Counter(wanted)
    assert house.ledger.meta("drops") == {}
    await house.ledger.close()
    assert house.left() == ["first.png"]
    pictures = ["m.png", "m.png", "p.png", "p.png"]
    assert house.filed("accepted") == sorted(["beside.csv", "first.csv", "spring.csv", *pictures])
    reports = ["beside.csv.rejected.csv", "broken.csv.error.txt", "spring.rejected.csv"]
    assert house.filed("rejected") == sorted([*reports, "broken.csv"])
    assert house.filed("duplicates") == ["spring.duplicates.csv"]
    assert list((folder / "inputs" / "incoming").iterdir()) == []


def test_killed_at_any_place_no_row_is_lost_or_doubled_and_every_report_is_there_once(
    who: str, places: list[str], tmp_path: Path
) -> None:
    for number, place in enumerate(places):
        folder = tmp_path / str(number)
        prepare(folder)
        assert run(folder, who, place) == -9, place
        assert run(folder) == 0, place
        try:
            asyncio.run(shown_whole(folder))
        except AssertionError as error:
            raise AssertionError(f"killed at {place}: {error}") from error
