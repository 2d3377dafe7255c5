"""What `submit` puts into the inbox is whole, one drop, and lies over nothing."""

import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from daemon.cli.drop import CannotSubmit, place, plan_drops
from daemon.intake.drops import find_drops

CSV = "编号,产品名,产品图\n1,A,pics/a.png\n2,B,../b.png\n3,C,missing.png\n"


@pytest.fixture
def job(tmp_path):
    folder = tmp_path / "from"
    (folder / "pics").mkdir(parents=True)
    (folder / "pics" / "a.png").write_bytes(b"a")
    (tmp_path / "b.png").write_bytes(b"b")
    (folder / "spring.csv").write_text(CSV, "utf-8")
    return folder / "spring.csv"


def tree(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def refused(*paths: Path) -> str:
    with pytest.raises(CannotSubmit) as caught:
        plan_drops(paths)
    return caught.value.word


def test_what_a_killed_command_left_goes_with_a_drop_of_another_day(job, tmp_path):
    inbox = tmp_path / "inbox"
    folder, file = inbox / ".submit-aa.part", inbox / ".submit-bb.part"
    folder.mkdir(parents=True)
    for path in (file, folder / "a.png"):
        path.write_bytes(b"a")
        os.utime(path, (0, 0))  # as the original: long ago
    (drop,) = plan_drops([job])
    place(drop, inbox)
    assert file.exists()
    assert folder.exists()
    place(drop, inbox, now=lambda: time.time() + 25 * 3600)
    assert {path.name for path in inbox.iterdir()} == {"spring", "spring-2"}


def test_a_job_file_brings_the_pictures_that_its_rows_name_below_its_folder(job, tmp_path):
    (drop,) = plan_drops([job])
    assert drop.lines == {2, 3, 4}
    assert place(drop, tmp_path / "inbox") == "spring"
    assert tree(tmp_path / "inbox") == {"spring/spring.csv", "spring/pics/a.png"}


def test_pictures_named_with_backslashes_come_along_too(job, tmp_path):
    job.write_text(job.read_text("utf-8").replace("pics/", "pics\\"), "utf-8")
    (drop,) = plan_drops([job])
    place(drop, tmp_path / "inbox")
    assert tree(tmp_path / "inbox") == {"spring/spring.csv", "spring/pics/a.png"}


def test_a_job_file_without_pictures_stays_a_file(tmp_path):
    job = tmp_path / "plain.json"
    job.write_text('[{"prompt": "x"}]')
    (drop,) = plan_drops([job])
    assert place(drop, tmp_path / "inbox") == "plain.json"
    assert tree(tmp_path / "inbox") == {"plain.json"}


def test_a_file_that_cannot_be_read_as_a_job_is_left_to_the_inbox_to_judge(tmp_path):
    job = tmp_path / "broken.json"
    job.write_text("{")
    (drop,) = plan_drops([job])
    assert not drop.lines
    assert not drop.folder


def test_pictures_given_beside_a_job_file_come_with_it(job, tmp_path):
    (drop,) = plan_drops([job, tmp_path / "b.png"])
    place(drop, tmp_path / "inbox")
    assert tree(tmp_path / "inbox" / "spring") == {"spring.csv", "pics/a.png", "b.png"}


def test_a_folder_comes_whole_but_for_what_the_inbox_never_touches(job, tmp_path):
    (job.parent / ".hidden").write_text("")
    (job.parent / "half.part").write_text("")
    (drop,) = plan_drops([job.parent])
    assert place(drop, tmp_path / "inbox") == "from"
    assert tree(tmp_path / "inbox" / "from") == {"spring.csv", "pics/a.png"}


def test_several_job_files_are_a_drop_each(job, tmp_path):
    other = tmp_path / "other.jsonl"
    other.write_text('{"prompt": "x"}\n')
    assert [drop.name for drop in plan_drops([job, other])] == ["spring", "other.jsonl"]


def test_what_makes_no_drop_is_refused_before_anything_is_copied(job, tmp_path):
    picture, other = tmp_path / "b.png", job.with_name("other.csv")
    other.write_text(CSV, "utf-8")
    (tmp_path / "empty").mkdir()
    (job.parent / "~$spring.xlsx").write_text("")
    assert refused(tmp_path / "none.csv") == "submit.missing"
    assert refused(picture) == "submit.no_job"
    assert refused(tmp_path / "empty") == "submit.no_job"
    assert refused(job, other, picture) == "submit.many_jobs"
    assert refused(job.parent / "~$spring.xlsx") == "submit.hidden"


def test_two_files_cannot_have_the_same_place_in_a_drop(job, tmp_path):
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "b.png").write_bytes(b"other")
    assert refused(job, tmp_path / "b.png", tmp_path / "x" / "b.png") == "submit.same_name"


def test_an_existing_name_is_never_taken(job, tmp_path):
    inbox = tmp_path / "inbox"
    (drop,) = plan_drops([job])
    assert [place(drop, inbox) for _ in range(3)] == ["spring", "spring-2", "spring-3"]
    plain = tmp_path / "p.rerun.csv"
    plain.write_text("prompt\nx\n")
    (drop,) = plan_drops([plain])
    assert [place(drop, inbox) for _ in range(2)] == ["p.rerun.csv", "p-2.rerun.csv"]


def test_each_of_many_that_come_at_once_gets_a_name_of_its_own(job, tmp_path):
    (drop,) = plan_drops([job])
    for turn in range(30):
        inbox, start = tmp_path / f"inbox-{turn}", threading.Barrier(8)

        def come(inbox: Path = inbox, start: threading.Barrier = start) -> str:
            start.wait()
            return place(drop, inbox)

        with ThreadPoolExecutor(8) as threads:
            coming = [threads.submit(come) for _ in range(8)]
        names = {each.result() for each in coming}
        assert names == {"spring", *(f"spring-{number}" for number in range(2, 9))}
        assert {entry.name for entry in inbox.iterdir()} == names


def test_a_drop_never_takes_the_name_of_a_folder_of_the_inbox_itself(job, tmp_path):
    named = job.with_name("accepted.csv")
    job.rename(named)
    (drop,) = plan_drops([named])
    assert place(drop, tmp_path / "inbox") == "accepted-2"


def test_the_inbox_sees_the_drop_only_when_it_is_whole(job, tmp_path, monkeypatch):
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    seen = []
    real = os.fsync

    def look(descriptor: int) -> None:
        seen.append([found.name for found in find_drops(inbox).places])
        real(descriptor)

    monkeypatch.setattr(os, "fsync", look)
    (drop,) = plan_drops([job])
    place(drop, inbox)
    assert len(seen) >= 4
    assert all(names == [] for names in seen[:-1])
    assert seen[-1] == ["spring"]


def test_a_copy_that_fails_leaves_nothing_behind(job, tmp_path):
    inbox = tmp_path / "inbox"
    (drop,) = plan_drops([job])
    (job.parent / "pics" / "a.png").unlink()
    with pytest.raises(FileNotFoundError):
        place(drop, inbox)
    assert list(inbox.iterdir()) == []


def test_a_file_system_without_hard_links_works_too(tmp_path, monkeypatch):
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "link", refuse)
    job = tmp_path / "plain.csv"
    job.write_text("prompt\nx\n")
    (drop,) = plan_drops([job])
    assert place(drop, tmp_path / "inbox") == "plain.csv"
    assert tree(tmp_path / "inbox") == {"plain.csv"}


def test_what_was_written_long_ago_need_not_settle_in_the_inbox_as_if_it_were_new(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("产品名\n茶壶\n", "utf-8")
    os.utime(path, (1, 1))
    place(*plan_drops([path]), tmp_path / "inbox")
    assert (tmp_path / "inbox" / "a.csv").stat().st_mtime == 1
