"""`submit` drops files into the inbox and tells the verdict, the daemon's or its own."""

import asyncio
import contextlib
import csv
import os
import time
from collections import Counter
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from PIL import Image

from daemon.cli.drop_outcome import DropOutcome
from ledger.jsondir.check import verify
from ledger.jsondir.files import Disk
from ledger.jsondir.lock import FolderLock
from ledger.jsondir.reader import history
from tests.fakes.records import AT
from tests.fakes.world import World, kill

HEADINGS = ["产品名", "产品图", "模特图"]
GOOD = ["茶壶", "a.png", "a.png"]
OTHER = ["花瓶", "a.png", "a.png"]
NO_PICTURE = ["杯子", "none.png", "a.png"]
DEAD_SERVER = "http://127.0.0.1:1"


@pytest.fixture
def job(tmp_path):
    def job(*rows: list[str]) -> Path:
        folder = tmp_path / "mine"
        folder.mkdir(exist_ok=True)
        Image.new("RGB", (8, 8)).save(folder / "a.png")
        path = folder / "spring.csv"
        with path.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([HEADINGS, *rows])
        return path

    return job


@contextlib.asynccontextmanager
async def daemon(world: World) -> AsyncIterator[None]:
    process = await world.daemon("run")
    try:
        async with asyncio.timeout(30):
            while not (world.ledger / "ledger.holder.json").exists():
                await asyncio.sleep(0.02)
        yield
    finally:
        await kill(process)


def test_without_a_daemon_the_command_decides_itself(command, job):
    text = command("submit", str(job(GOOD)))
    (task,) = command.json("tasks")["tasks"]
    assert text == f"spring: accepted as batch {task['batch_id']}, 1 row(s)\n"
    assert not (command.state_dir / "inbox" / "spring").exists()
    (day,) = (command.state_dir / "inbox" / "accepted").iterdir()
    assert (day / "spring" / "a.png").is_file()
    assert verify(command.ledger) == []
    assert {line.actor for line in history(command.ledger, task["task_id"])} == {"inbox"}


def test_without_a_daemon_a_picture_may_come_after_the_job_file_too(command, job):
    command.configure("inbox.settle_seconds = 0.1\n")
    path, drop = job(GOOD, NO_PICTURE), command.state_dir / "inbox" / "spring"

    def bring() -> None:
        while not drop.exists():
            time.sleep(0.01)
        time.sleep(0.3)
        Image.new("RGB", (8, 8), "red").save(drop / "none.png")

    with ThreadPoolExecutor() as threads:
        brought = threads.submit(bring)
        text = command("submit", str(path))
        brought.result()
    assert text.startswith(
        "spring: in the inbox; waiting up to 30 s for none.png\nspring: accepted"
    )
    assert len(command.json("tasks")["tasks"]) == 2


def test_a_picture_that_does_not_come_is_waited_for_no_longer_than_was_asked_for(command, job):
    text = command("submit", "--timeout", "0.2", str(job(GOOD, NO_PICTURE)))
    assert text.endswith("spring: in the inbox; no verdict within 0.2 s, see `status`\n")
    assert (command.state_dir / "inbox" / "spring").is_dir()
    assert command.json("tasks")["tasks"] == []
    command.configure("inbox.wait_for_pictures_seconds = 0.3\n")
    (verdict,) = command.json("submit", str(job(GOOD, NO_PICTURE)), code=1)["submitted"]
    assert (verdict["accepted_rows"], verdict["rejected_rows"]) == (1, 1)


def test_a_ledger_that_is_damaged_leaves_the_drop_in_the_inbox_and_that_is_told(command, job):
    command("submit", str(job(GOOD)))
    (journal,) = command.ledger.glob("journal-*.jsonl")
    journal.write_bytes(journal.read_bytes().replace("茶壶".encode(), "花瓶".encode(), 1))
    (verdict,) = command.json("submit", str(job(OTHER)), code=1)["submitted"]
    assert (verdict["pending"], verdict["accepted_rows"]) == (True, 0)
    assert "`ledger repair`" in verdict["postponed"]
    assert (command.state_dir / "inbox" / "spring").is_dir()
    text = command("submit", str(job(OTHER)), code=1)
    assert text.startswith("spring-2: in the inbox, a daemon takes it in when it runs; no verdict")


def test_a_store_that_takes_no_picture_leaves_the_drop_in_the_inbox_and_that_is_told(command, job):
    (command.state_dir / "inputs").mkdir(parents=True)
    (command.state_dir / "inputs" / "incoming").write_text("in the way")
    text = command("submit", str(job(GOOD)), code=1)
    assert "no verdict now: cannot store a picture: " in text
    (command.state_dir / "inputs" / "incoming").unlink()
    assert command.json("submit", str(job(GOOD)))["submitted"][0]["accepted_rows"] == 1


def test_a_template_that_cannot_be_used_is_a_bad_setting_and_nothing_is_dropped(command, job):
    command.configure('workflows."图片合成".template = "none.json"\n')
    assert command("submit", str(job(GOOD)), code=2) == ""
    assert "none.json" in command.err
    assert not (command.state_dir / "inbox").exists()


def test_who_finds_the_lock_taken_decides_once_it_is_free(command, job):
    command.json("submit", str(job(GOOD)))
    lock = FolderLock(command.ledger, Disk())
    lock.take(AT)

    def let_go() -> None:
        while not (command.state_dir / "inbox" / "spring").exists():
            time.sleep(0.01)
        lock.drop()

    with ThreadPoolExecutor() as threads:
        threads.submit(let_go)
        (verdict,) = command.json("submit", str(job(GOOD, OTHER)))["submitted"]
    assert (verdict["accepted_rows"], verdict["duplicate_rows"]) == (1, 1)


async def test_of_many_commands_at_once_one_takes_a_row(job, tmp_path):
    world, path = World(tmp_path / "world", DEAD_SERVER), job(GOOD, OTHER)
    answers = await asyncio.gather(*(world.asked("submit", str(path)) for _ in range(6)))
    assert {code for code, _ in answers} == {0}
    verdicts = [document["submitted"][0] for _, document in answers]
    told = Counter((each["accepted_rows"], each["duplicate_rows"]) for each in verdicts)
    assert told == {(2, 0): 1, (0, 2): 5}
    assert len(world.tasks()) == 2
    assert world.verify() == []


def test_what_makes_no_drop_is_bad_usage(command, tmp_path):
    (tmp_path / "a.png").write_bytes(b"")
    assert command("submit", "a.png", code=2) == ""
    assert "none of the files is a job file" in command.err
    assert not (command.state_dir / "inbox").exists()


@pytest.mark.parametrize("given", [".", "var/jobs", "var/inbox/rejected", "link", "books", "keys"])
def test_a_folder_that_shares_its_place_with_what_is_the_daemons_own_is_never_submitted(
    command, tmp_path, given
):
    command.configure('ledger.path = "books/ledger"\nweb.admin_token_file = "keys/token"\n')
    for folder in ("var/jobs", "var/inbox/rejected", "books/ledger", "keys"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "link").symlink_to("var")
    (tmp_path / given / "spring.csv").write_text("产品名\n茶壶\n", "utf-8")
    (tmp_path / "keys" / "token").write_text("s3cret")
    assert command("submit", given, code=2) == ""
    assert f"{given}: this folder holds, or lies in, " in command.err
    assert [*(tmp_path / "var" / "inbox").iterdir()] == [tmp_path / "var" / "inbox" / "rejected"]


@pytest.mark.parametrize(
    "how", ["beside", "as job", "linked", "in a folder", "other secret", "settings"]
)
def test_a_file_that_holds_a_secret_of_the_daemon_is_not_submitted_by_whatever_name(
    command, job, tmp_path, how
):
    token, secret = tmp_path / "keys" / "token.csv", tmp_path / "keys" / "bot.txt"
    command.configure(
        'web.admin_token_file = "keys/token.csv"\n[alerts]\nfeishu_webhook_secret_file = '
        '"keys/bot.txt"\n'
    )
    token.parent.mkdir()
    token.write_text("产品名\ns3cret", "utf-8")
    secret.write_text("s3cret")
    spring, folder = job(GOOD), tmp_path / "folder"
    folder.mkdir()
    (folder / "a.png").symlink_to(token)
    (folder / "b.png").hardlink_to(token)
    (folder / "spring.csv").write_text("产品名\n茶壶\n", "utf-8")
    given = {
        "beside": [spring, token],
        "as job": [token],
        "linked": [spring, folder / "b.png"],
        "in a folder": [folder],
        "other secret": [spring, secret],
        "settings": [spring, command.config],
    }
    assert command("submit", *map(str, given[how]), code=2) == ""
    assert "this file holds settings or a secret of the daemon" in command.err
    assert not (tmp_path / "var" / "inbox").exists()


@pytest.mark.parametrize(
    "beside", [daemon, contextlib.nullcontext], ids=["beside a daemon", "alone"]
)
async def test_the_verdict_is_told_row_by_row_whether_a_daemon_runs_or_not(
    command, job, tmp_path, beside
):
    world = World(tmp_path / "world", DEAD_SERVER)
    command.config = world.config
    broken = tmp_path / "broken.json"
    broken.write_text("{")

    async def submit(path: Path, code: int) -> dict[str, object]:
        document = await asyncio.to_thread(command.json, "submit", str(path), code=code)
        (verdict,) = document["submitted"]
        assert verdict["pending"] is False
        return verdict

    async with beside(world):
        verdict = await submit(job(GOOD, NO_PICTURE), code=1)
        assert list(verdict) == list(DropOutcome.__struct_fields__)
        assert verdict["batch_id"].startswith("spring-")
        assert (verdict["accepted_rows"], verdict["rejected_rows"]) == (1, 1)
        assert verdict["reports"][0].endswith("spring.rejected.csv")

        verdict = await submit(job(GOOD, NO_PICTURE), code=1)  # word for word once more
        assert verdict["batch_id"] is None
        assert (verdict["duplicate_rows"], verdict["rejected_rows"]) == (1, 1)

        folder = job(GOOD, NO_PICTURE).rename(tmp_path / "mine" / "rows.csv").parent
        for _ in range(3):  # a report that lies there already still counts
            verdict = await submit(folder, code=1)
            assert (verdict["duplicate_rows"], verdict["rejected_rows"]) == (1, 1)
        (folder / "rows.csv").unlink()

        verdict = await submit(job(GOOD, OTHER), code=0)
        assert (verdict["accepted_rows"], verdict["duplicate_rows"]) == (1, 1)

        verdict = await submit(broken, code=1)
        # reports speak the language of tables: Chinese, as this daemon is not told otherwise
        report = Path(verdict["reports"][0]).read_text("utf-8")
        assert "原因：内容不是 JSON：内容不完整，后面缺了一段（第 1 行第 2 个字符）。" in report
        why = "the content is no JSON: unexpected end of data (line 1, character 2)"
        assert verdict["unreadable"] == why
        text = await asyncio.to_thread(command, "submit", str(broken), code=1)
        assert text == f"broken.json: rejected: {why}\n"
        assert len((await asyncio.to_thread(command.json, "tasks"))["tasks"]) == 2

        name = os.fsdecode(b"u\xff.csv")  # of no text
        verdict = await submit(
            job(["碗", "a.png", "a.png"], NO_PICTURE).rename(tmp_path / "mine" / name), code=1
        )
        assert verdict["name"] == "u\ufffd"
        assert (verdict["accepted_rows"], verdict["rejected_rows"]) == (1, 1)
        assert verdict["reports"][0].endswith("u\ufffd.rejected.csv")


async def test_a_daemon_that_starts_while_pictures_are_waited_for_takes_the_drop(
    command, job, tmp_path
):
    world = World(tmp_path / "world", DEAD_SERVER)
    text = world.config.read_text("utf-8")
    text = text.replace("pictures_seconds = 0.5", "pictures_seconds = 60")
    world.config.write_text(text, "utf-8")
    command.config, path = world.config, job(GOOD, NO_PICTURE)
    submitted = asyncio.create_task(asyncio.to_thread(command.json, "submit", str(path)))
    async with asyncio.timeout(30):
        while not (world.inbox / "spring").exists():
            await asyncio.sleep(0.02)
    async with daemon(world):
        Image.new("RGB", (8, 8), "red").save(world.inbox / "spring" / "none.png")
        (verdict,) = (await submitted)["submitted"]
    assert (verdict["accepted_rows"], verdict["rejected_rows"]) == (2, 0)
    assert len(world.batches()) == 1


async def test_a_verdict_is_told_of_a_drop_that_may_not_be_moved(command, job, tmp_path):
    world = World(tmp_path / "world", DEAD_SERVER)
    command.config = world.config
    async with daemon(world):
        (world.inbox / "accepted").mkdir(parents=True, exist_ok=True)
        today = datetime.now(UTC)
        for day in (today, today + timedelta(days=1)):
            (world.inbox / "accepted" / f"{day:%Y-%m-%d}").write_text("in the way")
        document = await asyncio.to_thread(command.json, "submit", str(job(GOOD)))
        assert (document["submitted"][0]["accepted_rows"], document["submitted"][0]["unmoved"]) == (
            1,
            True,
        )
        assert "may not be moved" in command.err
        (warning,) = (await asyncio.to_thread(command.json, "status"))["warnings"]
        assert (warning["code"], "“spring”" in warning["message"]) == ("unfiled", True)


async def test_a_verdict_that_takes_too_long_is_not_waited_for(command, tmp_path):
    world = World(tmp_path / "world", DEAD_SERVER, settle=60.0)
    command.config = world.config
    plain = tmp_path / "plain.csv"
    plain.write_text("产品名,产品图,模特图\nx,y.png,z.png\n", "utf-8")
    async with daemon(world):
        text = await asyncio.to_thread(command, "--json", "submit", "--timeout", "0.1", str(plain))
    assert '"pending":true' in text
    assert "no verdict within 0.1 s" in command.err
