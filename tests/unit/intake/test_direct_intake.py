"""A command that takes drops in itself leaves what the daemon would have left."""

import asyncio
import json
import os
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from config.settings import Inbox as InboxSettings
from daemon import failpoint
from daemon.intake.direct import Taken
from daemon.intake.errors import Postponed
from daemon.intake.inbox import Inbox
from ledger.direct import DirectLedger
from ledger.errors import LedgerClosed
from ledger.jsondir.check import verify
from ledger.jsondir.store import JsonDirBackend
from ledger.status import Stage
from tests.fakes.disk import FailingDisk
from tests.unit.intake.house import House

DROPS = ["first", "spring", "broken.csv", "beside.csv"]


def make_drops(folder: Path) -> House:
    """Good, doubled, bad and two-stage rows; a file that is unreadable; one with loose pictures."""
    folder.mkdir()
    house = House(folder, JsonDirBackend(folder / "ledger"))
    house.folder_drop("first", "old,小美,图片合成,p.png,m.png", "old,小美,图片合成,p.png,m.png")
    house.folder_drop(
        "spring",
        "old,小美,图片合成,p.png,m.png",
        "new,小美,图片合成+图生视频,p.png,m.png",
        "bad,小美,画画,p.png,m.png",
        "worse,小美,图片合成,none.png,m.png",
    )
    house.make("broken.csv", "colour\nred\n")
    house.make("beside.csv", "产品名,产品图,模特图\nx,first.png,first.png\nold,none.png,first.png")
    house.draw("first.png")
    jobs = ("first/first.csv", "spring/spring.csv", "broken.csv", "beside.csv")
    for number, name in enumerate((*jobs, "first.png"), 1):
        os.utime(house.path / name, (number, number))  # in this order, and long ago
    return house


def take(house: House, names: list[str] = DROPS, **disk) -> Taken:
    with DirectLedger(house.path.parent / "ledger", **disk) as ledger:
        ledger.know_archived()
        return house.direct().take(ledger, names)


class Ended(BaseException):
    """Where it is raised, everything ends."""


@pytest.fixture
def ends_at():
    def ends_at(place: str | None) -> None:
        def watch(reached: str) -> None:
            if reached == place:
                raise Ended

        failpoint.arm(watch)

    yield ends_at
    failpoint.arm(None)


async def take_by_daemon(house: House) -> None:
    """Let the inbox service take all that lies there, in one look."""
    settings = InboxSettings(path=house.path, settle_seconds=0, wait_for_pictures_seconds=0)
    house.inbox = Inbox(settings, house.intake, house.ledger, house.clock, house.words)
    await house.ledger.open()
    while (await house.inbox.scan_once()).settling:
        house.clock.passed += 5
    await house.ledger.close()


def journal(folder: Path) -> list[dict]:
    """All lines in order, what is random, counted or of the moment left out."""
    lines = b"".join(path.read_bytes() for path in sorted(folder.glob("ledger/journal-*")))
    told = re.sub(rb'-[0-9a-z]{6}(?=[":])', b"-xxxxxx", lines)
    told = re.sub(rb"\d{4}-\d\d-\d\dT[\d:.]+Z", b"THEN", told)
    found = [json.loads(line) for line in told.splitlines()]
    for line in found:
        for key in ("seq", "tx", "crc"):
            del line[key]
        value = (line.get("meta") or {}).get("value")
        if value:
            value["sight"] = None
    return found


def files(folder: Path) -> dict[str, str]:
    """What lies in inbox and store, with its content; the moment of a refusal left out."""
    return {
        str(path.relative_to(folder)): re.sub(
            r"\d{4}-\d\d-\d\dT[\d:.]+Z", "THEN", path.read_bytes().decode("latin-1")
        )
        for top in ("inbox", "inputs")
        for path in (folder / top).rglob("*")
        if path.is_file()
    }


def test_journal_reports_and_folders_are_as_the_daemon_leaves_them(tmp_path):
    """The same drops, once before a daemon and once before a command."""
    ours, theirs = make_drops(tmp_path / "ours"), make_drops(tmp_path / "theirs")
    taken = take(ours)
    asyncio.run(take_by_daemon(theirs))
    assert files(tmp_path / "ours") == files(tmp_path / "theirs")
    assert journal(tmp_path / "ours") == journal(tmp_path / "theirs")
    assert ours.left() == ["first.png"]
    assert list((ours.inputs.path / "incoming").iterdir()) == []
    assert verify(tmp_path / "ours" / "ledger") == []
    assert taken.obstacle is None
    assert list(taken.verdicts) == ["first", "spring", "beside.csv", "broken.csv"]
    spring = taken.verdicts["spring"].receipt
    assert (spring.accepted_rows, len(spring.rejected), len(spring.duplicates)) == (1, 2, 1)
    assert str(taken.verdicts["broken.csv"].unreadable).startswith("no column is known")
    reports = [report.name for each in taken.verdicts.values() for report in each.reports]
    assert sorted(reports) == [
        "beside.csv.rejected.csv",
        "broken.csv.error.txt",
        "spring.duplicates.csv",
        "spring.rejected.csv",
    ]


async def test_a_daemon_goes_on_after_a_command_and_takes_no_row_twice(tmp_path):
    house = make_drops(tmp_path / "house")
    await asyncio.to_thread(take, house, ["spring"])
    await take_by_daemon(house)
    names = sorted((task.product_name, task.workflow_type) for task in house.tasks())
    wanted = [("new", "图片合成"), ("new", "图生视频"), ("old", "图片合成"), ("old", "图片合成")]
    assert names == [*wanted, ("x", "图片合成")]  # the second one of `first` is a second row
    assert verify(tmp_path / "house" / "ledger") == []


def test_archived_rows_are_duplicates_for_a_command_too(tmp_path):
    house = make_drops(tmp_path / "house")

    async def archive() -> None:
        await take_by_daemon(house)
        await house.ledger.open()
        ended = (each.moved(Stage.FAILED, at="2020-01-01T00:00:00.000Z") for each in house.tasks())
        await house.ledger.commit(*ended, op="task.failed")
        assert await house.ledger.archive_finished(house.clock.now())
        await house.ledger.close()

    asyncio.run(archive())
    rows = tmp_path / "house" / "ledger" / "archive" / "fingerprints.jsonl"
    house.folder_drop("again", "old,小美,图片合成,p.png,m.png", "newer,小美,图片合成,p.png,m.png")
    rows.unlink()  # it is made again
    receipt = take(house, ["again"]).verdicts["again"].receipt
    assert (receipt.accepted_rows, len(receipt.duplicates)) == (1, 1)
    assert rows.is_file()


def test_what_an_earlier_kill_left_decided_is_finished_and_not_decided_again(tmp_path, ends_at):
    house = make_drops(tmp_path / "house")
    ends_at("intake.before_move")
    with pytest.raises(Ended):
        take(house, ["first"])
    ends_at(None)
    assert "first" in house.left()
    assert take(house, ["first"]) == Taken({})
    assert "first" not in house.left()
    assert house.filed("accepted") == ["first.csv", "m.png", "p.png"]
    with DirectLedger(tmp_path / "house" / "ledger") as ledger:
        assert (len([*ledger.tasks()]), ledger.meta("drops")) == (2, {})


def test_a_drop_that_may_not_be_moved_has_its_verdict_and_is_not_decided_again(tmp_path):
    house = make_drops(tmp_path / "house")
    (house.path / "accepted").mkdir()
    today = datetime.now(UTC)
    in_the_way = [house.path / "accepted" / f"{today + timedelta(days=n):%Y-%m-%d}" for n in (0, 1)]
    for path in in_the_way:
        path.write_text("in the way")
    verdict = take(house, ["first"]).verdicts["first"]
    assert (verdict.receipt.accepted_rows, verdict.unmoved) == (2, True)
    assert take(house, ["first"]) == Taken({}, frozenset({"first"}))
    for path in in_the_way:
        path.unlink()
    asyncio.run(take_by_daemon(house))
    assert "first" not in house.left()
    assert house.filed("accepted").count("first.csv") == 1


def test_pictures_that_may_still_come_are_waited_for(tmp_path):
    house = make_drops(tmp_path / "house")
    intake = house.direct(wait_for_pictures_seconds=30)
    with DirectLedger(tmp_path / "house" / "ledger") as ledger:
        assert list(intake.take(ledger, ["spring", "first"]).verdicts) == ["first"]
        assert (intake.is_ready("spring"), intake.lacking("spring")) == (False, ["none.png"])
        os.utime(house.draw("spring/none.png"), (1, 1))
        assert (intake.is_ready("spring"), intake.lacking("spring")) == (True, [])
        receipt = intake.take(ledger, ["spring"]).verdicts["spring"].receipt
    assert (receipt.accepted_rows, len(receipt.rejected), intake.waiting) == (2, 1, {})


def test_when_our_disk_takes_no_picture_drops_stay_and_what_needs_none_is_decided(tmp_path):
    house = make_drops(tmp_path / "house")
    house.inputs.path.write_text("in the way")
    taken = take(house)
    assert isinstance(taken.obstacle, Postponed)
    assert list(taken.verdicts) == ["broken.csv"]
    assert house.left() == ["beside.csv", "first", "first.png", "spring"]
    house.inputs.path.unlink()
    assert list(take(house).verdicts) == ["first", "spring", "beside.csv"]


def test_when_the_ledger_takes_nothing_drops_stay_and_are_taken_later(tmp_path):
    house, disk = make_drops(tmp_path / "house"), FailingDisk()
    with DirectLedger(tmp_path / "house" / "ledger", disk=disk) as ledger:
        disk.full = True
        taken = house.direct().take(ledger, DROPS)
    assert (taken.verdicts, type(taken.obstacle)) == ({}, LedgerClosed)
    assert house.left() == sorted([*DROPS, "first.png"])
    assert list(take(house).verdicts) == ["first", "spring", "beside.csv", "broken.csv"]
    assert verify(tmp_path / "house" / "ledger") == []


def test_only_the_drops_that_were_named_are_taken(tmp_path):
    house = make_drops(tmp_path / "house")
    assert list(take(house, ["beside.csv", "none.csv"]).verdicts) == ["beside.csv"]
    assert house.left() == ["broken.csv", "first", "first.png", "spring"]
