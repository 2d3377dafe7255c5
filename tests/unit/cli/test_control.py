"""Batches, tasks and servers are controlled from the command line without a daemon."""

import asyncio
import hashlib
import io
import json
import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from PIL import Image

from daemon.cli.acting import actor
from ledger.batch import BatchStatus
from ledger.jsondir.check import verify
from ledger.jsondir.files import Disk
from ledger.jsondir.lock import FolderLock
from ledger.jsondir.reader import history, read_state
from ledger.jsondir.store import JsonDirBackend
from ledger.ledger import Ledger
from ledger.status import Stage
from ledger.task import Dependency, InputFile
from ledger.timestamps import from_timestamp
from tests.fakes.chinese import english_in
from tests.fakes.records import AT, batch_record, task_record

ROOT = Path(__file__).parents[3]
BATCH = "spring-abc234"
PICTURE = b"not looked at"
SHA256 = hashlib.sha256(PICTURE).hexdigest()
FILE = InputFile(name="cup.png", sha256=SHA256, size_bytes=len(PICTURE))


@pytest.fixture
def filled(command):
    """A running batch: one done, two failed, one queued, one waiting; and a batch of last year."""
    inputs = {"product_image": FILE}
    command.record(
        [batch_record(), batch_record("summer-xyz987", name="summer.csv")],
        [
            task_record(1, Stage.DONE, finished_at=AT, processed_at=AT, inputs=inputs),
            task_record(2, Stage.FAILED, error_kind="execution_error", inputs=inputs),
            task_record(3, Stage.FAILED, error_kind="execution_error", inputs=inputs),
            task_record(4, Stage.QUEUED, server="gpu-a", comfyui_task_id="p4", attempt=1),
            task_record(5),
        ],
    )
    command.configure('[[servers]]\nname = "gpu-a"\nurl = "http://127.0.0.1:1"\n')
    stored = command.state_dir / "inputs" / "sha256" / SHA256[:2] / SHA256
    stored.parent.mkdir(parents=True)
    stored.write_bytes(PICTURE)
    return command


def contents(command) -> dict[str, bytes]:
    return {
        path.name: path.read_bytes()
        for path in command.ledger.iterdir()
        if path.suffix not in (".lock", ".tmp")
    }


def batch_of(command):
    return read_state(command.ledger).batches[BATCH]


def task_of(command, number: int):
    return read_state(command.ledger).tasks[f"img_20261121_{number:06}"]


def last_of(command, number: int):
    return history(command.ledger, f"img_20261121_{number:06}")[-1]


# -- reading -------------------------------------------------------------------------------------


def test_batches_lists_every_batch_with_its_counts(filled):
    spring, summer = filled.json("batches")["batches"]
    assert (spring["batch_id"], spring["status"], spring["eta"]) == (BATCH, "running", None)
    counts = spring["statistics"]
    assert (counts["rows"], counts["completed"], counts["failed"]) == (5, 1, 2)
    assert summer["statistics"]["total"] == 0
    assert "spring-abc234  running" in filled("batches")


def test_a_batch_whose_rows_are_all_archived_is_said_to_be_so_and_status_leaves_it_out(filled):
    assert filled("batches").splitlines()[3] == "summer-xyz987  archived"
    shown = filled("status")
    assert "summer-xyz987" not in shown
    assert "1 older batch(es) have all their rows in the archive" in shown
    assert "All its rows are in the archive" in filled("batch", "summer")


def test_one_batch_is_shown_with_its_stages(filled):
    shown = filled.json("batch", BATCH)
    assert shown.pop("gpu_seconds") == {}
    assert shown.items() <= filled.json("batches")["batches"][0].items()
    text = filled("batch", BATCH)
    assert "spring-abc234 (spring.csv): running" in text
    assert "stage" in text


@pytest.mark.parametrize("given", [BATCH, "spring", "s" + BATCH[1:], "spring.csv"])
def test_a_batch_is_found_by_its_id_its_beginning_or_its_name(filled, given):
    assert filled.json("batch", given)["batch_id"] == BATCH


def test_a_beginning_that_fits_several_is_bad_usage_and_names_them(filled):
    error = filled.json("batch", "s", code=2)["error"]
    assert error["code"] == "ambiguous_batch"
    assert "spring-abc234, summer-xyz987" in error["message"]
    assert error["hint"] == "Give more of the id."


def test_a_whole_name_means_its_batch_even_where_other_ids_begin_so(filled):
    filled.record([batch_record("spring-abc234-2222aa", name="spring")])
    assert filled.json("batch", "spring")["batch_id"] == "spring-abc234-2222aa"
    assert filled.json("batch", BATCH)["batch_id"] == BATCH


def test_a_failed_batch_says_why_and_its_whole_id_can_be_copied(command):
    long = "a-name-of-more-than-sixty-letters-as-people-do-give-to-their-files-abc234"
    error = {"error_kind": "execution_error", "error_message": "node 4: no such model"}
    command.record(
        [batch_record(long, status=BatchStatus.FAILED)],
        [task_record(1, Stage.FAILED, batch_id=long, **error)],
    )
    text = command("batch", long)
    assert "too many rows in a row failed; the last one, img_" in text
    assert "no such model" in text
    assert f"batch {long} resume" in text
    assert long in command("status")


def test_servers_are_told_as_the_ledger_knows_them(filled):
    (server,) = filled.json("servers")["servers"]
    assert (server["name"], server["drained"], server["in_flight"]) == ("gpu-a", False, 1)
    assert filled.json("server", "gpu-a")["servers"] == [server]
    assert "gpu-a  http://127.0.0.1:1" in filled("servers")


def test_the_newest_tasks_are_listed_up_to_the_limit(filled):
    listed = filled.json("tasks", "--limit", "2")["tasks"]
    assert [task["task_id"][-1] for task in listed] == ["4", "5"]
    assert filled("tasks", "--limit", "0", code=2) == ""


# -- batches -------------------------------------------------------------------------------------


def test_a_batch_is_paused_resumed_and_stopped_and_the_journal_names_the_user(filled):
    answer = filled.json("batch", BATCH, "pause")
    assert (answer["success"], answer["changed"], answer["status"]) == (True, True, "paused")
    assert answer["statistics"]["pending"] == 1
    assert batch_of(filled).status is BatchStatus.PAUSED
    assert "Goes on from stage 1" in filled("batch", "spring", "resume")
    assert batch_of(filled).status is BatchStatus.RUNNING
    filled("batch", BATCH, "stop")
    assert batch_of(filled).status is BatchStatus.STOPPED
    assert task_of(filled, 4).requested == "take_back"
    assert task_of(filled, 4).requested_by == actor()
    assert last_of(filled, 4).actor == actor()
    assert actor().startswith("cli:")
    assert verify(filled.ledger) == []


def test_what_is_so_already_changes_nothing_and_says_so(filled):
    filled("batch", BATCH, "pause")
    before = contents(filled)
    assert filled.json("batch", BATCH, "pause")["changed"] is False
    assert "nothing changed" in filled("batch", BATCH, "pause")
    assert contents(filled) == before


def test_only_a_stop_that_says_so_interrupts_what_runs(filled):
    filled("batch", BATCH, "stop", "--interrupt")
    assert task_of(filled, 4).requested == "reset"


def test_a_wrong_state_is_1_with_a_hint_and_nothing_changes(filled):
    before = contents(filled)
    error = filled.json("batch", BATCH, "resume", code=1)["error"]
    assert error["code"] == "cannot_resume_running"
    assert "pause" in error["hint"]
    assert filled.err == f"{error['message']} {error['hint']}\n"
    assert filled("batch", BATCH, "resume", code=1) == ""
    assert contents(filled) == before


def test_all_that_failed_is_retried_at_once(filled):
    answer = filled.json("batch", BATCH, "retry-failed")
    assert answer["retried"] == len(set(answer["new_task_ids"])) == 2
    assert [task_of(filled, number).retry_count for number in (2, 3)] == [1, 1]
    assert verify(filled.ledger) == []


def test_a_rerun_asks_first_with_the_real_counts(filled, monkeypatch):
    before = contents(filled)
    for answer in ("n\n", "\n", ""):  # the last: nobody is there to answer
        monkeypatch.setattr("sys.stdin", io.StringIO(answer))
        filled("batch", BATCH, "rerun", code=1)
        assert "5 row(s), 1 done, 2 failed, 1 waiting" in filled.err
        assert "all stages again as a new batch? [y/N]:" in filled.err
    assert contents(filled) == before


@pytest.mark.parametrize("yes", ["y", "是"])
def test_a_rerun_asks_in_chinese_alone_and_takes_a_yes_in_either_language(filled, monkeypatch, yes):
    filled.config.write_text(filled.config.read_text("utf-8").replace('"en"', '"zh"'), "utf-8")
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{yes}\n"))
    filled("batch", BATCH, "rerun")
    assert english_in(filled.err) == ""
    assert BATCH in {batch.rerun_of for batch in read_state(filled.ledger).batches.values()}


def test_a_rerun_makes_a_new_batch_with_changed_columns_and_new_seeds(filled):
    options = ["--stage", "1", "--set", "prompt=蓝色", "--new-seed", "--yes"]
    answer = filled.json("batch", BATCH, "rerun", *options)
    assert answer["batch_id"].rpartition("-")[0] == BATCH.rpartition("-")[0]
    state = read_state(filled.ledger)
    new = state.batches[answer["batch_id"]]
    assert new.rerun_of == BATCH
    tasks = [task for task in state.tasks.values() if task.batch_id == new.batch_id]
    assert len(tasks) == 5
    assert {task.row["prompt"] for task in tasks} == {"蓝色"}
    assert batch_of(filled).status is BatchStatus.RUNNING
    assert f"a rerun of {BATCH}" in filled("batch", new.batch_id)
    assert verify(filled.ledger) == []


@pytest.mark.parametrize(
    "arguments",
    [
        ["pause", "--interrupt"],
        ["stop", "--stage", "1"],
        ["resume", "--set", "a=b"],
        ["--new-seed"],
        ["rerun", "--stage", "3"],
        ["rerun", "--set", "no equals sign"],
        ["rerun", "--set", "=value"],
        ["explode"],
    ],
    ids=" ".join,
)
def test_options_that_make_no_sense_are_2_and_nothing_changes(filled, arguments):
    before = contents(filled)
    assert filled("batch", BATCH, *arguments, code=2) == ""
    assert filled.err
    assert contents(filled) == before


# -- tasks ---------------------------------------------------------------------------------------


def test_a_retry_is_a_new_task_and_the_old_one_stays(filled):
    old = task_of(filled, 2)
    answer = filled.json("retry", old.task_id)
    assert answer["success"] is True
    assert answer["retried_from"] == old.task_id
    assert answer["retry_number"] == 1
    assert answer["status"] == "待处理"
    new = read_state(filled.ledger).tasks[answer["new_task_id"]]
    assert (new.retried_from, new.inputs) == (old.task_id, old.inputs)
    assert task_of(filled, 2).stage is Stage.FAILED
    assert last_of(filled, 2).actor == actor()
    assert verify(filled.ledger) == []


def test_the_second_of_two_retries_is_refused_and_names_the_first(filled):
    first = filled.json("retry", "img_20261121_000002")["new_task_id"]
    error = filled.json("retry", "img_20261121_000002", code=1)["error"]
    assert error["code"] == "retry_family_open"
    assert first in error["message"]


def test_files_that_are_gone_are_named_before_anything_starts(filled):
    for path in (filled.state_dir / "inputs").rglob(SHA256):
        path.unlink()
    before = contents(filled)
    error = filled.json("retry", "img_20261121_000002", code=1)["error"]
    assert error["code"] == "files_gone"
    assert "cup.png" in error["message"]
    assert contents(filled) == before


def test_a_waiting_task_is_cancelled_at_once_one_in_comfyui_by_the_daemon(filled):
    assert filled.json("cancel", "img_20261121_000005")["stage"] == "cancelled"
    assert "(command line): cancelled (it was waiting)." in filled("why", "img_20261121_000005")
    assert filled.json("cancel", "img_20261121_000004")["requested"] == "cancel"
    assert "already; nothing changed" in filled("cancel", "img_20261121_000004")
    assert "ended" in filled("cancel", "img_20261121_000001")
    assert verify(filled.ledger) == []


# -- servers -------------------------------------------------------------------------------------


def test_a_server_is_drained_and_resumed(filled):
    assert filled.json("server", "gpu-a", "drain")["changed"] is True
    assert filled.json("server", "gpu-a")["servers"][0]["drained"] is True
    assert filled.json("server", "gpu-a", "drain")["changed"] is False
    assert "takes tasks again" in filled("server", "gpu-a", "resume")
    assert filled.json("server", "gpu-a")["servers"][0]["drained"] is False
    assert verify(filled.ledger) == []


# -- what cannot be ------------------------------------------------------------------------------

TRICKS = [
    "none",
    "../../../etc/passwd",
    "img_20261121_000002/../x",
    "",
    "%2e%2e",
    "一",
    "a\x1b[31m",
]


@pytest.mark.parametrize("wrong", TRICKS, ids=ascii)
@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["batch", "ID"], "unknown_batch"),
        (["batch", "ID", "pause"], "unknown_batch"),
        (["batch", "ID", "rerun", "--yes"], "unknown_batch"),
        (["retry", "ID"], "unknown_task"),
        (["cancel", "ID"], "unknown_task"),
        (["why", "ID"], "unknown_task"),
        (["task", "ID"], "unknown_task"),
        (["tasks", "--batch", "ID"], "unknown_batch"),
        (["server", "ID"], "unknown_server"),
        (["server", "ID", "drain"], "unknown_server"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else value,
)
def test_an_id_that_is_none_is_1_with_a_hint_and_nothing_changes(filled, words, code, wrong):
    before = contents(filled)
    error = filled.json(*(wrong if word == "ID" else word for word in words), code=1)["error"]
    assert error["code"] == code
    assert error["hint"]
    assert contents(filled) == before


def archive_all(command) -> None:
    async def archive() -> None:
        ledger = Ledger(JsonDirBackend(command.ledger))
        await ledger.open()
        assert await ledger.archive_finished(from_timestamp(AT) + timedelta(days=60)) == 1
        await ledger.close()

    asyncio.run(archive())


@pytest.mark.parametrize("verb", ["retry", "cancel"])
def test_who_would_change_an_archived_task_is_told_how_its_row_is_run_anew(filled, verb):
    archive_all(filled)
    assert "img_20261121_000001" in filled("task", "img_20261121_000001")
    error = filled.json(verb, "img_20261121_000001", code=1)["error"]
    assert error["code"] == "task_archived"
    assert ".rerun." in error["hint"]


def test_refusals_are_chinese_for_who_reads_chinese(filled):
    filled.config.write_text('language = "zh"\n', "utf-8")
    assert filled("cancel", "none", code=1) == ""
    assert filled.err.startswith("没有任务 none。")
    assert filled.json("batch", BATCH, "resume", code=1)["error"]["message"].startswith("批次")


def test_a_damaged_ledger_is_repaired_before_anything_is_changed(filled):
    (journal,) = filled.ledger.glob("journal-*.jsonl")
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join([*lines[:-1], lines[-1].replace(b"spring", b"autumn")]) + lines[0])
    (filled.ledger / "ledger.json").unlink()
    before = contents(filled)
    error = filled.json("batch", BATCH, "pause", code=1)["error"]
    assert error["code"] == "ledger_damaged"
    assert "ledger repair" in error["hint"]
    assert contents(filled) == before


def test_a_holder_without_a_door_is_3_and_named(filled, monkeypatch):
    monkeypatch.setattr("daemon.cli.acting.PATIENCE_SECONDS", 0.05)
    lock = FolderLock(filled.ledger, Disk())
    lock.take(AT)
    address = {"url": "http://127.0.0.1:1", "pid": os.getpid() + 1}  # of a daemon that is gone
    (filled.state_dir / "web.json").write_text(json.dumps(address))
    try:
        error = filled.json("batch", BATCH, "pause", code=3)["error"]
    finally:
        lock.drop()
    assert error["code"] == "no_door"
    assert f"process {os.getpid()} on" in error["message"]


def test_a_door_that_is_closed_or_whose_token_cannot_be_read_is_told(filled):
    lock = FolderLock(filled.ledger, Disk())
    lock.take(AT)
    address = {"url": "http://127.0.0.1:1", "pid": os.getpid()}
    (filled.state_dir / "web.json").write_text(json.dumps(address))
    try:
        error = filled.json("batch", BATCH, "pause", code=1)["error"]
        assert error["code"] == "door_token"
        assert "admin-token" in error["message"]
        (filled.state_dir / "admin-token").write_text("secret-secret-secret")
        assert filled.json("batch", BATCH, "pause", code=1)["error"]["code"] == "door_closed"
    finally:
        lock.drop()


def test_a_two_stage_row_is_counted_by_stage(command):
    first = task_record(1, Stage.FAILED)
    second = task_record(
        2,
        row_id=first.row_id,
        workflow_type="图生视频",
        depends_on=Dependency(row_id=first.row_id, workflow_type="图片合成"),
        blocked_by="dependency",
    )
    command.record([batch_record()], [first, second])
    counts = command.json("batch", BATCH)["statistics"]
    assert counts["stages"]["1"]["failed"] == 1
    assert counts["stages"]["2"]["blocked"] == 1
    assert counts["rows"] == 1


VERBS = [
    ["batch", BATCH, "pause"],
    ["batch", BATCH, "stop", "--interrupt"],
    ["batch", BATCH, "rerun", "--yes"],
    ["batch", BATCH, "retry-failed"],
    ["retry", "img_20261121_000002"],
    ["cancel", "img_20261121_000005"],
    ["server", "gpu-a", "drain"],
    ["ledger", "compact"],
]


def loaded_by(command, *words: str) -> set[str]:
    """Return which modules that are slow to load a command loads in a process of its own."""
    code = (
        "import sys; from daemon.cli.main import exit_code\n"
        f"assert exit_code(['--config', {str(command.config)!r}, *{words}]) == 0\n"
        "heavy = {'asyncio', 'aiohttp', 'http', 'structlog', 'PIL'}\n"
        "print(*(heavy & sys.modules.keys()), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout
    return set(done.stderr.split())


@pytest.mark.parametrize("words", VERBS, ids=" ".join)
def test_a_verb_without_a_daemon_loads_no_event_loop_and_no_http(filled, words):
    assert loaded_by(filled, *words) == set()


def test_submit_without_a_daemon_loads_no_event_loop_and_no_http_but_decodes_pictures(filled):
    archive_all(filled)
    folder = filled.config.parent / "mine"
    folder.mkdir()
    Image.new("RGB", (8, 8)).save(folder / "a.png")
    (folder / "spring.csv").write_text("产品名,产品图,模特图\n茶壶,a.png,a.png\n", "utf-8")
    assert loaded_by(filled, "submit", str(folder)) == {"PIL"}
    assert len(filled.json("tasks", "--status", "pending")["tasks"]) == 2
