"""`submit` drops files into the inbox and tells the daemon's verdict."""

import asyncio
import contextlib
import csv
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from PIL import Image

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


def test_without_a_daemon_the_drop_waits_for_the_next_start(command, job):
    text = command("submit", str(job(GOOD)))
    assert text == "spring: in the inbox; no daemon runs, it is taken in at the next start\n"
    assert (command.state_dir / "inbox" / "spring" / "a.png").is_file()
    assert command.json("submit", str(job(GOOD)))["submitted"][0]["pending"] is True


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


async def test_the_verdict_of_a_running_daemon_is_told_row_by_row(command, job, tmp_path):
    world = World(tmp_path / "world", DEAD_SERVER)
    command.config = world.config
    broken = tmp_path / "broken.json"
    broken.write_text("{")

    async def submit(path: Path, code: int) -> dict[str, object]:
        document = await asyncio.to_thread(command.json, "submit", str(path), code=code)
        (verdict,) = document["submitted"]
        assert verdict["pending"] is False
        return verdict

    async with daemon(world):
        verdict = await submit(job(GOOD, NO_PICTURE), code=1)
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
