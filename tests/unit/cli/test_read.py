"""`status`, `tasks`, `task`, `ledger …` tell what stands in the ledger."""

import json
import os

import msgspec
import pytest

from daemon.cli.views import in_flight
from daemon.web.status_documents import NodeProgress, TaskInFlight
from daemon.words import Words
from ledger.entry import Meta
from ledger.jsondir import archive
from ledger.jsondir.files import Disk
from ledger.jsondir.lock import FolderLock
from ledger.status import Stage
from ledger.task import Dependency
from tests.bench.ledger_records import finished_task
from tests.fakes.records import AT, batch_record, task_record

VIDEO = "图生视频"


def video(number: int, of: int, stage: Stage = Stage.WAITING, **fields: object):
    row_id = f"spring-abc234:{of}"
    return task_record(
        number,
        stage,
        row_id=row_id,
        workflow_type=VIDEO,
        depends_on=Dependency(row_id=row_id, workflow_type="图片合成"),
        **fields,
    )


def test_a_daemon_that_holds_the_ledger_and_has_no_door_yet_is_said_to_be_starting(command):
    command.record([batch_record()])
    lock = FolderLock(command.ledger, Disk())
    lock.take(AT)
    try:
        (warning,) = command.json("status")["warnings"]
        assert warning["code"] == "starting"
        assert f"process {os.getpid()}" in warning["message"]
        address = {"url": "http://127.0.0.1:9", "pid": os.getpid()}
        (command.state_dir / "web.json").write_text(json.dumps(address))  # its door is shut again
        assert command.json("status")["warnings"] == []
    finally:
        lock.drop()
    assert command.json("status")["warnings"] == []


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:99999", "http://127.0.0.1:abc", "http://", "nonsense", "\udce9", None]
)
def test_a_note_that_names_no_door_has_the_files_read(command, url):
    command.record([batch_record()])
    note = command.state_dir / "web.json"
    if url is None:
        note.mkdir()
    else:
        text = json.dumps({"url": url, "pid": os.getpid()}, ensure_ascii=False)
        note.write_bytes(text.encode(errors="surrogateescape"))
    lock = FolderLock(command.ledger, Disk())
    lock.take(AT)
    try:
        assert len(command.json("batches")["batches"]) == 1
    finally:
        lock.drop()


@pytest.fixture
def filled(command):
    """Three rows, two of them of two stages; one was retried and one is blocked."""
    command.record(
        [batch_record()],
        [
            task_record(1, Stage.DONE, product_name="茶壶", finished_at=AT),
            video(2, of=1, stage=Stage.RUNNING, server="gpu-a", started_at=AT),
            task_record(
                3, Stage.FAILED, error_message="boom\x1b[31m", error_kind="execution_error"
            ),
            video(4, of=3, blocked_by="dependency: 图片合成 (失败)"),
            task_record(5, Stage.FAILED),
        ],
        [
            task_record(
                6, Stage.QUEUED, row_id="spring-abc234:5", retried_from="img_20261121_000005"
            )
        ],
        [Meta(section="servers", key="gpu-a", value={"drained": True, "version": "0.33.0"})],
    )
    command.configure('[[servers]]\nname = "gpu-b"\nurl = "http://127.0.0.1:1"\n')
    return command


def test_status_tells_of_a_full_disk_though_no_daemon_runs(command):
    assert command.json("status")["warnings"] == []
    command.configure('ledger.path = "/proc/sys"\n')  # a file system that never has room
    (warning,) = command.json("status")["warnings"]
    assert warning["code"] == "ledger"
    assert "make room at /proc/sys" in warning["message"]


def test_status_counts_each_family_once_by_its_newest_task(filled):
    (batch,) = filled.json("status")["batches"]
    assert batch["batch_id"] == "spring-abc234"
    assert batch["status"] == "running"
    statistics = batch["statistics"]
    stages = statistics.pop("stages")
    assert statistics == {
        "rows": 3,
        "total": 5,
        "completed": 1,
        "failed": 1,
        "pending": 0,
        "processing": 2,
        "cancelled": 0,
        "blocked": 1,
    }
    assert stages["1"]["total"] == 3
    assert stages["2"] == {
        "total": 2,
        "completed": 0,
        "failed": 0,
        "pending": 0,
        "processing": 1,
        "cancelled": 0,
        "blocked": 1,
    }


def test_status_lists_the_servers_of_the_settings_and_of_the_ledger(filled):
    servers = {server["name"]: server for server in filled.json("status")["servers"]}
    assert servers["gpu-b"]["url"] == "http://127.0.0.1:1"
    assert servers["gpu-b"]["version"] is None
    assert servers["gpu-a"]["url"] is None
    assert servers["gpu-a"]["drained"] is True
    assert servers["gpu-a"]["version"] == "0.33.0"
    assert servers["gpu-a"]["in_flight"] == 1


def test_that_no_daemon_runs_is_told_with_what_the_last_one_saw(filled):
    told = "No daemon runs; this is what the ledger's files say.\n"
    for call in (["status"], ["servers"], ["server", "gpu-b"], ["batches"]):
        assert filled(*call).startswith(told), call
        assert filled.json(*call)["daemon_runs"] is False, call
    lock = FolderLock(filled.ledger, Disk())
    lock.take(AT)
    try:
        for call in (["status"], ["servers"], ["batches"]):
            assert told not in filled(*call), call
            assert filled.json(*call)["daemon_runs"] is True, call
    finally:
        lock.drop()


def test_only_a_server_that_was_seen_fit_is_said_to_take_work(command):
    seen = {"old": {"version": "0.3.40"}, "new": {"version": "0.33.0"}}
    command.record(
        [Meta(section="servers", key=n, value=v | {"reachable": True}) for n, v in seen.items()]
    )
    names = enumerate((*seen, "unseen"), 1)
    listed = (f'[[servers]]\nname = "{n}"\nurl = "http://127.0.0.1:{at}"\n' for at, n in names)
    command.configure("".join(listed))
    for call in ("status", "servers"):
        words = {
            line.split()[0]: line for line in command(call).splitlines() if "127.0.0.1" in line
        }
        assert "unusable" in words["old"]
        assert "takes work" in words["new"]
        assert "not asked yet" in words["unseen"]
    (old, *_) = command.json("servers")["servers"]
    assert old["usable"] is False
    assert "0.3.57" in old["why_not"]


def test_status_names_what_is_on_the_servers_and_what_runs_too_long(filled):
    status = filled.json("status")
    in_flight = [task["task_id"] for task in status["in_flight"]]
    assert in_flight == ["img_20261121_000002", "img_20261121_000006"]
    assert status["stuck"] == 1


@pytest.mark.parametrize(
    ("progress", "shown"),
    [
        (NodeProgress(node="4", value=3.0, maximum=20.0), True),
        (NodeProgress(node="4"), False),
        (None, False),
    ],
)
def test_the_text_of_status_says_how_far_a_task_is_if_its_node_counts(progress, shown):
    task = msgspec.structs.asdict(task_record(1, Stage.RUNNING, server="gpu-a"))
    text = in_flight([TaskInFlight(**task, progress=progress)], Words("en"))
    assert ("progress" in text, "15%" in text) == (shown, shown)


def test_status_is_plain_text_in_the_language_of_the_settings(filled):
    text = filled("status")
    assert "spring-abc234  running" in text
    assert "1 task(s) run longer than allowed." in text
    filled.config.write_text('language = "zh"\n', "utf-8")
    assert "有 1 个任务运行超时。" in filled("status")


def test_an_empty_ledger_is_told_as_such(command):
    assert command.json("status")["batches"] == []
    assert "Drop a job file into" in command("status")
    assert command("tasks") == "No task matches.\n"
    assert command.json("tasks")["tasks"] == []


@pytest.mark.parametrize(
    ("options", "numbers"),
    [
        ([], [1, 2, 3, 4, 5, 6]),
        (["--failed"], [3, 5]),
        (["--status", "失败"], [3, 5]),
        (["--status", "failed"], [3, 5]),
        (["--status", "在处理中"], [2, 6]),
        (["--status", "processing"], [2, 6]),
        (["--status", "running"], [2]),
        (["--status", "RUNNING"], [2]),
        (["--type", VIDEO], [2, 4]),
        (["--type", VIDEO, "--status", "待处理"], [4]),
        (["--batch", "spring-abc234", "--failed"], [3, 5]),
        (["--type", "unknown"], []),
    ],
    ids=str,
)
def test_tasks_are_those_that_match_every_option(filled, options, numbers):
    found = [task["task_id"] for task in filled.json("tasks", *options)["tasks"]]
    assert found == [f"img_20261121_{number:06}" for number in numbers]


def test_a_task_in_json_is_its_ledger_record(filled):
    (task,) = filled.json("tasks", "--status", "running")["tasks"]
    record = video(2, of=1, stage=Stage.RUNNING, server="gpu-a", started_at=AT)
    assert task == msgspec.json.decode(msgspec.json.encode(record))


def test_a_cursor_that_was_not_made_here_is_refused_without_a_daemon_too(filled):
    assert filled("tasks", "--cursor", "xx", code=2) == ""
    assert filled.err.startswith("The cursor was not made here. Use next_cursor ")
    assert filled.json("tasks", "--cursor", "xx", code=2)["error"]["code"] == "bad_cursor"


def test_text_of_others_cannot_steer_the_terminal(filled):
    assert "boom�[31m" in filled("tasks", "--failed")
    assert "\x1b" not in filled("task", "img_20261121_000003")


def test_an_unknown_batch_or_task_is_1_with_a_hint(filled):
    assert filled("tasks", "--batch", "none", code=1) == ""
    assert filled.err.startswith("There is no batch none. See ")
    assert filled("task", "none", code=1) == ""
    assert filled("ledger", "history", "none", code=1) == ""
    error = filled.json("ledger", "history", "none", code=1)["error"]
    assert (error["code"], error["message"]) == ("unknown_task", "There is no task none.")


def test_an_id_of_blanks_alone_is_seen_in_what_is_said_of_it(filled):
    for call in (["batch"], ["batch", "", "pause"], ["tasks", "--batch"]):
        words = call if "" in call else [*call, ""]
        assert filled(*words, code=1) == ""
        assert filled.err.startswith("There is no batch “”. "), call
    assert filled("server", " ", code=1) == ""
    assert filled.err.startswith("There is no server “ ”. ")


def test_one_task_comes_with_its_history_and_family(filled):
    task = filled.json("task", "img_20261121_000006")
    assert task["task_id"] == "img_20261121_000006"
    assert task["family"] == ["img_20261121_000005", "img_20261121_000006"]
    assert [change["op"] for change in task["history"]] == ["test.recorded"]
    text = filled("task", "img_20261121_000006")
    assert "retried_from       img_20261121_000005" in text
    assert "for the test" in text


def test_the_history_of_a_task_has_every_change(filled):
    history = filled.json("ledger", "history", "img_20261121_000001")["history"]
    assert [(change["op"], change["reason"]) for change in history] == [
        ("test.recorded", "for the test")
    ]
    assert "test.recorded" in filled("ledger", "history", "img_20261121_000001")


def test_a_change_shows_its_record_and_not_how_it_is_kept(filled):
    (change,) = filled.json("ledger", "history", "img_20261121_000001")["history"]
    assert change["task"]["task_id"] == "img_20261121_000001"
    assert change.keys() == {"seq", "at", "actor", "op", "reason", "evidence", "task"}
    (change,) = filled.json("task", "img_20261121_000006")["history"]
    assert change["task"]["retried_from"] == "img_20261121_000005"


def test_the_export_is_the_state_as_ledger_json_has_it(filled):
    exported = json.loads(filled("ledger", "export"))
    stored = json.loads((filled.ledger / "ledger.json").read_text("utf-8"))
    assert exported.keys() == stored.keys()
    for part in ("format", "last_seq", "tasks", "batches", "meta"):
        assert exported[part] == stored[part]


def test_a_whole_ledger_is_verified_with_0(command):
    command.record([batch_record()], [task_record()])
    assert command.json("ledger", "verify")["ok"] is True
    assert "1 tasks, 1 batches" in command("ledger", "verify")


def test_damage_is_told_until_it_is_repaired(command):
    command.record([batch_record()], [task_record(1)], [task_record(2)])
    (journal,) = command.ledger.glob("journal-*.jsonl")
    data = bytearray(journal.read_bytes())
    data[len(data) // 2] ^= 1
    journal.write_bytes(data)
    assert "thing(s) wrong with the ledger." in command("ledger", "verify", code=1)
    assert command.json("ledger", "verify", code=1)["ok"] is False
    repaired = command.json("ledger", "repair")
    assert len(repaired["kept_aside"]) == 1
    assert repaired["lost"]
    assert "The ledger is whole" in command("ledger", "verify")
    assert "Nothing to repair." in command("ledger", "repair")


def test_damage_in_the_archive_is_said_to_stay(command):
    command.record([batch_record()])
    archive.put(command.ledger, Disk(), [finished_task(1)])
    content = command.ledger / "archive" / "2026-11.jsonl.gz"
    whole = content.read_bytes()
    content.write_bytes(whole[:40] + bytes([whole[40] ^ 1]) + whole[41:])
    (damage,) = command.json("ledger", "repair")["not_mended"]
    said = command("ledger", "repair")
    assert damage in said
    assert "Nothing to repair." not in said


def test_compaction_leaves_the_same_state(filled):
    before = filled.json("tasks")
    filled("ledger", "compact")
    assert filled.json("tasks") == before
    assert filled.json("ledger", "verify")["ok"] is True


def test_repairing_a_whole_ledger_changes_nothing(filled):
    before = filled.json("tasks")
    done = filled.json("ledger", "repair")
    assert done == {"kept_aside": [], "lost": [], "made_again": [], "not_mended": []}
    assert filled.json("tasks") == before


@pytest.mark.parametrize(
    "call",
    [
        ("status",),
        ("tasks",),
        ("batches",),
        ("servers",),
        ("ledger", "verify"),
        ("ledger", "repair"),
    ],
)
def test_that_the_ledger_is_of_a_newer_version_is_told_in_json_too(filled, call):
    filled.make_newer()
    error = filled.json(*call, code=1)["error"]
    assert (error["code"], "99" in error["message"]) == ("ledger_too_new", True)


def test_that_the_ledger_is_in_use_is_told_in_json_too(filled):
    lock = FolderLock(filled.ledger, Disk())
    lock.take(AT)
    try:
        assert filled.json("ledger", "repair", code=3)["error"]["code"] == "ledger_in_use"
    finally:
        lock.drop()
