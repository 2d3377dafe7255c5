"""What the inbox answers to drops of every kind; each look is asked for, time is moved."""

import itertools
import os
import shutil

import pytest
import structlog

from config.settings import Inbox as InboxSettings
from daemon import failpoint
from daemon.intake import taking
from daemon.intake.filing import SECTION, from_text, to_text
from daemon.intake.jobfile import MAX_JOB_FILE_BYTES
from daemon.intake.leftovers import lying_there
from daemon.intake.moving import move_into
from daemon.intake.reports import write_report
from daemon.words import Words
from ledger.entry import Meta
from ledger.memory import MemoryBackend
from tests.unit.intake.house import House

EN = Words("en")
GOOD = "壶,小美,图片合成,p.png,m.png"


@pytest.fixture
def at():
    """Do something once when a failpoint is reached."""

    def arm(place, act, times=1):
        left = times

        def watch(reached):
            nonlocal left
            left -= reached == place
            if left == 0:
                failpoint.arm(None)
                act()

        failpoint.arm(watch)

    yield arm
    failpoint.arm(None)


async def test_a_folder_with_a_job_file_and_pictures_is_one_drop_and_moves_whole(house):
    house.folder_drop("spring", GOOD, "壶,小美,图片合成+图生视频,p.png,m.png")
    scan = await house.take_in()
    assert (scan.settling, house.inbox.idle) == (0, True)
    assert len(house.tasks()) == 3
    assert house.left() == []
    assert house.filed("accepted") == ["m.png", "p.png", "spring.csv"]
    day = house.clock.now().strftime("%Y-%m-%d")
    assert (house.path / "accepted" / day / "spring" / "spring.csv").exists()
    assert house.ledger.meta(SECTION) == {}


async def test_a_folder_whose_job_file_asks_for_it_runs_again_what_ran_before(house):
    house.folder_drop("spring", GOOD)
    await house.take_in()
    again = house.folder_drop("again", GOOD)
    (again / "again.csv").rename(again / "again.rerun.csv")
    await house.take_in()
    assert len(house.tasks()) == 2


async def test_a_job_file_moves_and_the_pictures_beside_it_stay_for_the_next_one(house):
    house.draw("p.png")
    house.draw("m.png")
    house.make("a.csv", f"产品名,模特名,工作流类型,产品图,模特图\n{GOOD}")
    await house.take_in()
    assert house.left() == ["m.png", "p.png"]
    assert house.filed("accepted") == ["a.csv"]
    assert len(house.tasks()) == 1


async def test_rejected_rows_come_back_with_their_reason_and_can_be_corrected(house):
    house.folder_drop("spring", GOOD, "杯,小美,画画,p.png,m.png", "碗,小美,图片合成,,m.png")
    await house.take_in()
    assert len(house.tasks()) == 1
    rows = house.report("spring.rejected.csv")
    assert [row["rowkeeper_line"] for row in rows] == ["3", "4"]
    assert "“画画” is unknown" in rows[0]["rowkeeper_reason"]
    assert "产品图" in rows[1]["rowkeeper_reason"]
    assert [row["产品名"] for row in rows] == ["杯", "碗"]
    report = (house.path / "rejected" / "spring.rejected.csv").read_text("utf-8-sig")
    house.folder_drop("again")
    house.make("again/again.csv", report.replace("画画", "图片合成").replace(",,m", ",p.png,m"))
    await house.take_in()
    assert len(house.tasks()) == 3


async def test_a_line_that_cannot_be_read_comes_back_with_its_text_and_the_file_s_columns(house):
    house.draw("p.png")
    good = '{"产品名": "壶", "产品图": "p.png", "模特图": "p.png"}'
    house.make("a.jsonl", f"{good}\n\n{{bad\n{good}\n")
    await house.take_in()
    (row,) = house.report("a.jsonl.rejected.csv")
    assert (row["rowkeeper_line"], row["rowkeeper_text"]) == ("3", "{bad")
    report = (house.path / "rejected" / "a.jsonl.rejected.csv").read_text("utf-8-sig")
    assert report.startswith("rowkeeper_line,rowkeeper_reason,rowkeeper_text,产品名,产品图,模特图")
    house.make("again.csv", report.replace("{bad,,,", "{bad,杯,p.png,p.png"))
    await house.take_in()
    assert [task.product_name for task in house.tasks()] == ["壶", "壶", "杯"]
    assert [task.metadata.source.line for task in house.tasks()] == [1, 4, 2]
    assert "rowkeeper_text" not in house.tasks()[-1].row


async def test_a_folder_that_gets_no_job_file_is_told_once_it_stands_still(house):
    house.draw("pictures/a.png")
    house.draw("deep/inside/b.png")
    house.make("deep/inside/job.csv", "产品名\n壶\n")
    await house.take_in()
    assert house.inbox.concerns == []  # it may still be on its way
    house.clock.passed += 60
    with structlog.testing.capture_logs() as told:
        await house.inbox.scan_once()
        await house.inbox.scan_once()
    deep, pictures = house.inbox.concerns
    assert pictures.text(EN).startswith("The folder “pictures” in the inbox has no job file")
    assert "job file inside/job.csv lies too deep" in deep.text(EN)
    assert lying_there(InboxSettings(path=house.path), {}, house.clock.now()) == [deep, pictures]
    assert [each["event"] for each in told].count("folder.no_job_file") == 2
    shutil.move(house.path / "deep" / "inside" / "job.csv", house.path / "deep" / "job.csv")
    await house.take_in()
    assert house.inbox.concerns == [pictures]


async def test_a_folder_with_a_workbook_of_another_kind_is_refused_as_the_workbook_would_be(house):
    house.draw("spring/a.png")
    house.make("spring/job.xls", "x")
    house.make("spring/readme.txt", "x")
    await house.take_in()
    assert house.left() == []
    assert "spring.error.txt" in house.filed("rejected")
    assert ".xls is no job file" in (house.path / "rejected" / "spring.error.txt").read_text()


async def test_a_drop_that_may_not_be_moved_is_told_until_it_is_gone(house):
    day = house.clock.now().strftime("%Y-%m-%d")
    (house.path / "accepted").mkdir(exist_ok=True)
    house.make(f"accepted/{day}", "in the way")
    house.folder_drop("spring", GOOD)
    await house.take_in()
    assert len(house.tasks()) == 1
    (concern,) = house.inbox.concerns
    assert "“spring” is decided but still lies in the inbox" in concern.text(EN)
    assert "File exists" in concern.text(EN)
    drops = house.ledger.meta(SECTION)
    settings = InboxSettings(path=house.path)
    house.clock.passed += 60
    (seen,) = lying_there(settings, drops, house.clock.now())
    assert "because it may not be moved: give the daemon's user" in seen.text(EN)
    (house.path / "accepted" / day).unlink()
    house.clock.passed += 600  # it is tried again now and then
    await house.inbox.scan_once()
    assert house.inbox.concerns == []
    assert lying_there(settings, house.ledger.meta(SECTION), house.clock.now()) == []


async def test_a_move_that_failed_is_tried_again_soon_and_then_ever_more_seldom(house):
    day = house.clock.now().strftime("%Y-%m-%d")
    (house.path / "accepted").mkdir(exist_ok=True)
    house.make(f"accepted/{day}", "in the way")
    house.folder_drop("spring", GOOD)
    await house.take_in()
    tried_at = []
    for second in range(1000):
        with structlog.testing.capture_logs() as told:
            await house.inbox.scan_once()
        if any(each["event"] == "drop.not_moved" for each in told):
            tried_at.append(second)
        house.clock.passed += 1
    waits = [after - before for before, after in itertools.pairwise(tried_at)]
    assert waits == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300]
    (house.path / "accepted" / day).unlink()
    house.clock.passed += 300
    await house.inbox.scan_once()
    assert house.left() == []


@pytest.mark.parametrize("many", [1000, 0])  # with more of them the report is made in a thread
async def test_the_same_drop_again_runs_nothing_and_is_listed_as_duplicate(
    house, many, monkeypatch
):
    monkeypatch.setattr(taking, "SLICE", many)
    house.folder_drop("spring", GOOD)
    await house.take_in()
    house.folder_drop("spring", GOOD, "新,小美,图片合成,p.png,m.png")
    await house.take_in()
    assert [task.product_name for task in house.tasks()] == ["壶", "新"]
    assert [row["产品名"] for row in house.report("spring.duplicates.csv")] == ["壶"]
    house.folder_drop("spring", GOOD)
    await house.take_in()
    assert len(house.tasks()) == 2
    assert (house.path / "duplicates" / "spring" / "spring.csv").exists()


async def test_nothing_is_ever_overwritten_by_a_move(house):
    for number in range(3):
        house.folder_drop("spring", f"壶{number},小美,图片合成,p.png,m.png", "杯,x,画画,,")
        await house.take_in()
    day = house.path / "accepted" / house.clock.now().strftime("%Y-%m-%d")
    assert sorted(path.name for path in day.iterdir()) == ["spring", "spring-2", "spring-3"]
    assert len(house.tasks()) == 3


BAD_FILES = [
    ("empty.csv", b"", "empty"),
    ("columns.csv", b"colour,size\nred,3\n", "no column is known"),
    ("binary.csv", b"\xff\x00\x81\xff" * 99, "no text"),
    ("shape.json", b'{"rows": 3}', "no list"),
    ("broken.json", b"{", "no JSON"),
    ("broken.xlsx", b"PK\x03\x04 broken", "no .xlsx workbook"),
    ("old.xls", b"\xd0\xcf\x11\xe0", "save it as .xlsx"),
]


@pytest.mark.parametrize(("name", "content", "reason"), BAD_FILES)
async def test_a_file_that_cannot_be_read_is_set_aside_with_the_reason(
    house, name, content, reason
):
    house.make(name, content)
    await house.take_in()
    assert reason in house.error(name)
    assert (house.path / "rejected" / name).read_bytes() == content
    assert house.left() == []
    assert house.tasks() == []
    assert house.ledger.meta(SECTION) == {}


@pytest.mark.parametrize("suffix", ["csv", "json", "jsonl", "xlsx"])
async def test_a_hundred_megabytes_of_garbage_are_set_aside_unread(house, suffix):
    path = house.make(f"big.{suffix}", b"\xde\xad")
    os.truncate(path, 100_000_000)
    assert path.stat().st_size > MAX_JOB_FILE_BYTES
    await house.take_in()
    assert "100 MB" in house.error(f"big.{suffix}")
    assert (house.path / "rejected" / f"big.{suffix}").stat().st_size == 100_000_000


async def test_bad_pictures_and_paths_reject_their_rows_only(house):
    house.folder_drop(
        "spring",
        GOOD,
        "a,b,图片合成,text.png,m.png",
        "a,b,图片合成,gone.png,m.png",
        "a,b,图片合成,../../etc/passwd,m.png",
        "a,b,图片合成,/etc/passwd,m.png",
        "a,b,图片合成,link.png,m.png",
        f"{'长' * 300},b,图片合成,p.png,m.png",
        "a/b\0c,b,图片合成,p.png,m.png",
    )
    house.make("spring/text.png", "I am a text")
    (house.path / "spring" / "link.png").symlink_to("/etc/passwd")
    await house.take_in()
    reasons = [row["rowkeeper_reason"] for row in house.report("spring.rejected.csv")]
    wanted = ["no picture", "not there", "leads out", "leads out", "link that leads out", "NUL"]
    for reason, words in zip(reasons, wanted, strict=True):
        assert words in reason
    assert [len(task.product_name) for task in house.tasks()] == [1, 300]


async def test_links_and_pipes_in_place_of_a_job_file_are_set_aside_unopened(house, tmp_path):
    secret = tmp_path / "secret.csv"
    secret.write_text("产品名\nx")
    (house.path / "link.csv").symlink_to(secret)
    (house.path / "lost.csv").symlink_to("nowhere")
    os.mkfifo(house.path / "pipe.csv")
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "job.csv").write_text("产品名\nx")
    (house.path / "folder").symlink_to(tmp_path / "outside")
    (house.path / "within").mkdir()
    (house.path / "within" / "job.csv").symlink_to(secret)
    await house.take_in()
    assert "a link" in house.error("link.csv")
    assert "a link" in house.error("lost.csv")
    assert "a pipe" in house.error("pipe.csv")
    assert "a link" in house.error("folder")
    assert "a link" in house.error("within")
    assert house.left() == []
    assert secret.exists()
    assert (tmp_path / "outside" / "job.csv").exists()


async def test_a_folder_with_two_job_files_is_set_aside_as_a_whole(house):
    house.folder_drop("spring", GOOD)
    house.make("spring/more.json", "[]")
    await house.take_in()
    assert "2 job files (more.json, spring.csv)" in house.error("spring")
    assert (house.path / "rejected" / "spring" / "p.png").exists()


async def test_unfinished_names_and_other_files_are_never_touched(house):
    names = [".a.csv", "~$a.xlsx", "a.csv.tmp", "a.csv.part", "A.CSV.CRDOWNLOAD", ".a.csv.swp"]
    for name in (*names, "picture.png", "notes.docx"):
        house.make(name, "x")
    house.draw("pictures/p.png")
    scan = await house.take_in()
    assert house.left() == sorted([*names, "picture.png", "notes.docx", "pictures"])
    assert (scan.taken, scan.settling, scan.waiting_folders) == (0, 0, 1)


async def test_a_fresh_file_waits_until_it_keeps_still(house):
    path = house.make("a.json", "[")
    assert (await house.inbox.scan_once()).settling == 1
    house.clock.passed += 1.5
    path.write_text("[3")
    written_at = house.clock.now().timestamp()
    os.utime(path, (written_at, written_at))
    assert (await house.inbox.scan_once()).settling == 1
    house.clock.passed += 1.5
    assert (await house.inbox.scan_once()).settling == 1
    assert not house.inbox.idle
    house.clock.passed += 2
    scan = await house.inbox.scan_once()
    assert (scan.taken, scan.settling) == (1, 0)


async def test_a_file_written_long_ago_counts_at_once_as_after_a_rename(house):
    os.utime(house.make("a.json", "[3]"), (1, 1))
    assert (await house.inbox.scan_once()).taken == 1


async def test_a_file_that_somebody_has_open_for_writing_waits_however_still_it_is(house):
    path = house.make("a.json", "[3]")
    os.utime(path, (1, 1))
    with path.open("a"):
        for _ in range(3):
            house.clock.passed += 10
            assert (await house.inbox.scan_once()).settling == 1
    assert (await house.inbox.scan_once()).taken == 1


async def test_pictures_may_arrive_after_the_job_file(house):
    house.make("a.csv", f"产品名,模特名,工作流类型,产品图,模特图\n{GOOD}")
    house.draw("p.png")
    await house.inbox.scan_once()
    house.clock.passed += 20
    assert (await house.inbox.scan_once()).settling == 1
    house.draw("m.png")
    house.clock.passed += 3
    assert (await house.inbox.scan_once()).taken == 1
    assert len(house.tasks()) == 1


async def test_pictures_are_waited_for_only_so_long(house):
    house.make("a.csv", f"产品名,模特名,工作流类型,产品图,模特图\n{GOOD}")
    house.draw("p.png")
    await house.inbox.scan_once()
    house.clock.passed += 2
    await house.inbox.scan_once()
    house.clock.passed += 29
    assert (await house.inbox.scan_once()).settling == 1
    house.clock.passed += 1
    assert (await house.inbox.scan_once()).taken == 1
    assert "not there" in house.report("a.csv.rejected.csv")[0]["rowkeeper_reason"]


async def test_a_picture_that_is_still_being_written_is_waited_for_beyond_that(house):
    house.make("a.csv", f"产品名,模特名,工作流类型,产品图,模特图\n{GOOD}")
    house.draw("m.png")
    with house.draw("p.png").open("a"):
        for _ in range(5):
            house.clock.passed += 20
            assert (await house.inbox.scan_once()).settling == 1
    await house.take_in()
    assert len(house.tasks()) == 1


async def test_a_file_deleted_before_it_is_read_is_no_error(house, at):
    path = house.make("a.json", "[3]")
    os.utime(path, (1, 1))
    at("intake.before_read", path.unlink)
    assert (await house.inbox.scan_once()).taken == 0
    assert (await house.inbox.scan_once()).settling == 0
    assert house.filed("rejected") == []


async def test_a_file_deleted_while_it_is_read_is_decided_as_it_was(house, at):
    path = house.make("a.json", "[3]")
    os.utime(path, (1, 1))
    at("intake.opened", path.unlink, times=2)  # the first reading only looks for pictures
    await house.take_in()
    assert "no JSON object" in house.report("a.json.rejected.csv")[0]["rowkeeper_reason"]
    assert house.left() == []


async def test_a_file_written_to_after_it_was_opened_is_looked_at_again(house, at):
    folder = house.folder_drop("spring", GOOD)
    job = folder / "spring.csv"
    longer = job.read_text() + "\n新,小美,图片合成,p.png,m.png"
    at("intake.contents_copied", lambda: job.write_text(longer))
    await house.take_in()
    await house.take_in()
    assert [task.product_name for task in house.tasks()] == ["壶", "新"]
    assert house.left() == []


async def test_a_file_replaced_after_its_verdict_is_a_drop_of_its_own(house, at):
    job = house.folder_drop("spring", GOOD) / "spring.csv"
    longer = job.read_text() + "\n新,小美,图片合成,p.png,m.png"
    at("intake.before_move", lambda: job.write_text(longer))
    await house.take_in()
    await house.take_in()
    assert [task.product_name for task in house.tasks()] == ["壶", "新"]
    assert [row["产品名"] for row in house.report("spring.duplicates.csv")] == ["壶"]
    assert house.left() == []


async def test_a_name_that_is_not_utf8_is_taken_like_any_other(house):
    name = os.fsdecode(b"\xd6\xd0.csv")
    house.make(name, "colour\nred")
    await house.take_in()
    assert house.left() == []
    assert name in house.filed("rejected")
    assert "no column" in house.error("\ufffd\ufffd.csv")
    assert from_text(to_text(name)) == name
    assert from_text(to_text("base64:x")) == "base64:x"


async def test_a_name_as_long_as_the_system_allows_still_gets_its_report(house):
    name = "很" * 83 + "a.json"
    assert len(name.encode()) == 255
    house.make(name, "[")
    await house.take_in()
    assert house.left() == []
    assert [n for n in house.filed("rejected") if n.endswith(".error.txt")]


async def test_a_full_disk_postpones_the_drop_and_it_is_taken_later(house):
    house.folder_drop("spring", GOOD)
    house.inputs.path.write_text("in the way")
    for _ in range(8):
        scan = await house.inbox.scan_once()
        house.clock.passed += 5
    assert (scan.postponed, scan.settling) == (True, 1)
    assert house.left() == ["spring"]
    house.inputs.path.unlink()
    await house.take_in()
    assert len(house.tasks()) == 1


async def test_a_drop_that_cannot_be_moved_is_not_taken_twice_and_moved_later(house):
    house.folder_drop("spring", GOOD)
    await house.inbox.scan_once()
    (house.path / "accepted").rmdir()
    house.make("accepted", "in the way")
    house.clock.passed += 5
    # the folder cannot be made: looking fails as a whole, and the daemon lives
    assert (await house.inbox.scan_once()).inode is None
    (house.path / "accepted").unlink()
    day = house.clock.now().strftime("%Y-%m-%d")
    house.make(f"accepted/{day}", "in the way")
    await house.take_in()
    assert (len(house.tasks()), house.left()) == (1, ["spring"])
    assert house.inbox.idle
    (house.path / "accepted" / day).unlink()
    house.clock.passed += 400
    await house.inbox.scan_once()
    assert (len(house.tasks()), house.left()) == (1, [])


async def test_what_was_recorded_but_not_moved_is_moved_at_the_next_start(tmp_path, at):
    backend = MemoryBackend()
    house = House(tmp_path, backend)
    await house.ledger.open()
    house.folder_drop("spring", GOOD, "x,y,画画,,")

    def break_off():
        raise OSError("crash")

    at("intake.before_report.rejected.csv", break_off)
    await house.take_in()
    assert (len(house.tasks()), house.left()) == (1, ["spring"])
    await house.ledger.close()
    again = House(tmp_path, backend)
    await again.ledger.open()
    await again.inbox.scan_once()
    assert (len(again.tasks()), again.left()) == (1, [])
    assert len(again.report("spring.rejected.csv")) == 1
    await again.ledger.close()


def test_moving_again_after_a_crash_between_link_and_unlink_finishes_it(tmp_path):
    source, folder = tmp_path / "a.csv", tmp_path / "to"
    source.write_text("x")
    folder.mkdir()
    (folder / "a.csv").write_text("another")
    os.link(source, folder / "a-2.csv")
    assert move_into(source, folder) == folder / "a-2.csv"
    assert not source.exists()
    assert (folder / "a.csv").read_text() == "another"


def test_a_report_written_twice_is_there_once_and_never_over_another(tmp_path):
    (tmp_path / "a.rejected.csv").write_text("somebody's")
    first = write_report(tmp_path, "a", ".rejected.csv", b"x")
    assert write_report(tmp_path, "a", ".rejected.csv", b"x") == first
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a-2.rejected.csv", "a.rejected.csv"]
    assert (tmp_path / "a.rejected.csv").read_text() == "somebody's"


async def test_a_record_of_a_drop_that_is_long_gone_is_forgotten(house):
    house.folder_drop("spring", GOOD)
    await house.take_in()
    old = next(t for t in house.backend.transactions if t.op == "batch.accepted")
    meta = next(record for record in old.records if isinstance(record, Meta))
    await house.ledger.commit(meta, op="drop.refused")
    house.clock.passed += 400
    await house.inbox.scan_once()
    assert house.ledger.meta(SECTION) == {}
    assert house.filed("accepted") == ["m.png", "p.png", "spring.csv"]
