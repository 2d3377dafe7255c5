"""`why` tells what happened to a task in sentences, from the journal alone."""

from collections.abc import Mapping
from types import SimpleNamespace

import msgspec
import pytest

from daemon.story.happenings import happening
from daemon.story.telling import tell
from daemon.words import Words
from daemon.words.actors import who
from daemon.words.catalogue import CATALOGUE
from daemon.words.retelling import LEDGER, in_language
from ledger.direct import DirectLedger
from ledger.status import Stage
from ledger.task import Dependency, Metadata, OutputFile, Publish, Source, Task
from tests.fakes.records import AT, batch_record, task_record

FILE = OutputFile(node="9", filename="a_00001_.png", subfolder="s", type="output")
PROVEN = msgspec.structs.replace(FILE, path="outputs/a.png", sha256="0" * 64, size_bytes=2048)
SOURCE = Metadata(source=Source(kind="inbox", name="spring.csv", line=67))
WAITING = task_record(1, row_number=67, metadata=SOURCE)
SENT = WAITING.moved(
    Stage.SUBMITTING, at=AT, server="gpu-a", attempt=1, comfyui_task_id="9b2d-prompt"
)
QUEUED = SENT.moved(Stage.QUEUED, at=AT)
RUNNING = QUEUED.moved(Stage.RUNNING, at=AT, started_at=AT)
FETCHING = RUNNING.moved(Stage.COLLECTING, at=AT, outputs=[FILE], gpu_seconds=12.5)
DONE = FETCHING.moved(Stage.DONE, at=AT, outputs=[PROVEN], output_files=["outputs/a.png"])


def change(task: Task, **fields: object) -> Task:
    return task.changed(at=AT, **fields)


def back(task: Task, **fields: object) -> Task:
    return task.moved(Stage.WAITING, at=AT, **({"server": None, "requested": None} | fields))


HAPPENINGS: list[tuple[str, Task | None, Task, str]] = [
    ("accepted_line", None, WAITING, "batch.accepted"),
    ("accepted", None, task_record(1), "batch.accepted"),
    (
        "accepted_second",
        None,
        change(WAITING, depends_on=Dependency(row_id="r", workflow_type="图片合成")),
        "batch.accepted",
    ),
    ("retry", None, change(WAITING, retried_from="img_1", retry_number=2), "task.retried"),
    ("submitting", WAITING, SENT, "task.submitting"),
    ("queued", SENT, QUEUED, "task.queued"),
    ("running", QUEUED, RUNNING, "task.follow"),
    ("ended_after", RUNNING, FETCHING, "task.collect"),
    ("ended", RUNNING, change(FETCHING, gpu_seconds=None), "task.collect"),
    ("adopted", RUNNING, change(FETCHING, metadata=Metadata(adopted=True)), "task.collect"),
    ("named", FETCHING, change(FETCHING, outputs=[msgspec.structs.replace(FILE, path="a")]), "x"),
    ("name_taken", change(FETCHING, outputs=[PROVEN]), FETCHING, "task.name_taken"),
    ("proven", FETCHING, change(FETCHING, outputs=[PROVEN]), "task.file_proven"),
    ("done", FETCHING, DONE, "task.done"),
    ("failed", RUNNING, RUNNING.moved(Stage.FAILED, at=AT, error_kind="poison"), "task.fail"),
    ("cancelled", WAITING, WAITING.moved(Stage.CANCELLED, at=AT), "task.cancelled"),
    ("after_cancel", change(RUNNING, requested="cancel"), back(RUNNING), "task.as_requested"),
    ("after_take_back", change(QUEUED, requested="take_back"), back(QUEUED), "task.as_requested"),
    ("after_reset", change(RUNNING, requested="reset"), back(RUNNING), "task.as_requested"),
    ("lost", RUNNING, back(RUNNING, lost_by_server=1), "task.run_again"),
    ("not_sent", SENT, back(SENT), "task.not_sent"),
    ("waits_again", QUEUED, back(QUEUED), "task.run_again"),
    ("failed_once", RUNNING, back(RUNNING, error_kind="out_of_memory"), "task.fail"),
    ("failed_once_until", RUNNING, back(RUNNING, error_kind="e", not_before=AT), "task.fail"),
    ("requested_cancel", RUNNING, change(RUNNING, requested="cancel"), "task.cancel_requested"),
    ("requested_take_back", QUEUED, change(QUEUED, requested="take_back"), "batch.stopped"),
    ("requested_reset", QUEUED, change(QUEUED, requested="reset"), "task.reset_requested"),
    ("request_settled", change(QUEUED, requested="take_back"), QUEUED, "x"),
    ("was_retried", DONE, change(DONE, retry_count=1), "task.retried"),
    ("submitted_again", SENT, change(SENT, possible_duplicate=True), "task.submitting_again"),
    ("blocked", WAITING, change(WAITING, blocked_by="dependency"), "rows.reviewed"),
    ("unblocked", change(WAITING, blocked_by="dependency"), WAITING, "rows.reviewed"),
    ("unfit", WAITING, change(WAITING, error_message="no node", error_kind="x"), "rows.reviewed"),
    ("fit_again", change(WAITING, error_message="no node"), WAITING, "rows.reviewed"),
    ("published", DONE, change(DONE, publish=Publish(state="done")), "task.published"),
    ("uploaded", DONE, change(DONE, publish=Publish(tokens={"doc:1": "t"})), "task.uploaded"),
    (
        "upload_unknown",
        change(DONE, publish=Publish(tokens={"doc:1": "t"})),
        change(DONE, publish=Publish(uploaded_anew=("doc:1",))),
        "task.upload_unknown",
    ),
    ("changed", DONE, change(DONE), "task.something_new"),
]


@pytest.mark.parametrize(
    ("key", "before", "after", "op"), HAPPENINGS, ids=[each[0] for each in HAPPENINGS]
)
@pytest.mark.parametrize("language", ["zh", "en"])
def test_everything_that_can_happen_has_its_sentence(language, key, before, after, op):
    happened = happening(before, after, op)
    assert happened.key == key
    sentence = Words(language)(f"story.{key}", **happened.values)
    assert "None" not in sentence
    assert "{" not in sentence


def test_no_happening_is_worded_that_cannot_happen():
    told = {f"story.{key}" for key, *_ in HAPPENINGS}
    told |= {"story.headline", "story.by", "story.reason", "story.evidence"}
    told |= {"story.still_requested", "story.see_retries"}
    worded = {key for key in CATALOGUE["en"] if key.startswith("story.")}
    assert {key for key in worded if not key.startswith("story.sighting.")} == told


def told(command, *steps: tuple[Task, str, Mapping[str, object]]) -> str:
    """Write each step in a transaction of its own; version after version of the same task."""
    with DirectLedger(command.ledger) as ledger:
        ledger.commit(batch_record(), op="batch.accepted", actor="inbox")
        for version, (task, op, line) in enumerate(steps, start=1):
            record = msgspec.structs.replace(task, version=version)
            ledger.commit(record, op=op, **({"actor": "daemon"} | line))
    return command("why", steps[0][0].task_id)


LOST = {"reason": "in neither queue nor history after settling; its folder has no a.png"}
LIFE = (
    (WAITING, "batch.accepted", {"actor": "inbox"}),
    (SENT, "task.submitting", {"evidence": {"server": "gpu-a", "graph": "filled"}}),
    (RUNNING, "task.follow", {"evidence": {"server": "gpu-a", "sighting": "running"}}),
    (
        back(RUNNING, lost_by_server=1),
        "task.run_again",
        LOST | {"evidence": {"server": "gpu-a", "sighting": "absent"}},
    ),
    (
        back(RUNNING).moved(Stage.CANCELLED, at=AT),
        "task.cancelled",
        {"actor": "cli:anna", "evidence": {"batch": "stopped", "rows": [1, 2]}},
    ),
)


def test_the_story_says_what_happened_who_did_it_and_from_what_evidence(command):
    head, *events = told(command, *LIFE).splitlines()
    assert head == "img_20261121_000001: row 67 of batch spring-abc234, 图片合成, now cancelled"
    assert [event[21:] if not event.startswith(" ") else event for event in events] == [
        "the inbox: accepted from spring.csv, line 67.",
        "the daemon: about to send it to gpu-a: attempt 1, ComfyUI id 9b2d-prompt.",
        "the daemon: gpu-a began to execute it.",
        "    Evidence: gpu-a was executing it.",
        "the daemon: gpu-a forgot it while it was executed (time 1); it waits again.",
        "    Evidence: neither queue nor history of gpu-a knew it.",
        "    Reason: in neither queue nor history after settling; its folder has no a.png",
        "anna (command line): cancelled (it was waiting).",
        "    Evidence: batch = stopped, rows = 1, 2",
    ]


def test_the_story_is_chinese_for_who_reads_chinese(command):
    told(command, *LIFE)
    command.config.write_text('language = "zh"\n', "utf-8")
    text = command("why", "img_20261121_000001")
    assert "收件夹：从 spring.csv 第 67 行接收。" in text
    assert "依据：批次：stopped, 行：1, 2" in text
    assert "anna（命令行）：已取消（之前处于 等待）。" in text


def test_reasons_of_the_steps_are_chinese_as_far_as_they_are_known():
    absent = "in neither queue nor history after settling; its folder holds all 2 files"
    assert in_language(absent, "en") == absent
    assert in_language(absent, "zh") == (
        "等了一段时间，队列和历史里仍没有它；它的输出文件夹里 2 个文件齐全"
    )
    changed = "in neither queue nor history; the workflow changed; its files are not known"
    assert in_language(changed, "zh") == "队列和历史里都没有它；工作流已改动；不知道它有哪些文件"
    asked = CATALOGUE["en"]["reason.uncertain"]
    assert in_language(asked, "zh").startswith("无法确定")
    assert in_language("disk is on fire; reset was requested", "zh") == (
        "disk is on fire；有人要求重置"
    )


def test_of_many_sentences_each_is_retold_also_those_with_a_semicolon_of_their_own():
    written = (
        "changes 5 to 9 are missing; changes 1 to 3 are missing from the journal; the state they made "
        "is not; a.jsonl: bytes 1-2 are damaged; disk is on fire; b.jsonl: the checksum does not fit"
    )
    retold = in_language(written, "zh", LEDGER)
    assert retold == (
        "缺少变更 5 至 9；日志里缺少变更 1 至 3；它们的结果还在；a.jsonl：第 1-2 字节已损坏；"
        "disk is on fire；b.jsonl：校验和不符"
    )
    assert in_language(retold, "en", LEDGER) == written


def test_the_story_in_json_has_seq_actor_and_evidence_of_each_change(command):
    told(command, *LIFE)
    document = command.json("why", "img_20261121_000001")
    assert document["status"] == "已取消"
    event = document["story"][3]
    assert (event["seq"], event["actor"], event["op"]) == (5, "daemon", "task.run_again")
    assert event["reason"] == LOST["reason"]
    assert event["evidence"]["sighting"] == "absent"
    assert event["text"].startswith("gpu-a forgot it")


def test_what_is_still_to_be_done_and_retries_are_told_at_the_end(command):
    pending = change(RUNNING, requested="cancel", retry_count=2)
    text = told(
        command, (WAITING, "a", {}), (SENT, "b", {}), (RUNNING, "c", {}), (pending, "d", {})
    )
    *_, wanted, retries = text.splitlines()
    assert wanted == "Still to be carried out: cancel."
    assert retries.startswith("It was retried 2 time(s)")


def test_a_message_of_others_cannot_steer_the_terminal(command):
    failed = WAITING.moved(Stage.FAILED, at=AT, error_kind="x", error_message="boom\x1b[31m\nfake")
    text = told(command, (WAITING, "a", {}), (failed, "b", {"reason": "r\x1b[1m"}))
    assert "\x1b" not in text
    assert "\nfake" not in text


@pytest.mark.parametrize("wrong", ["none", "img_20261121_999999", "../../etc/passwd", ""])
def test_an_unknown_task_has_no_story_but_a_hint(command, wrong):
    told(command, *LIFE)
    assert command("why", wrong, code=1) == ""
    assert wrong in command.err
    assert "`tasks`" in command.err


def test_every_kind_of_actor_has_a_name_and_an_unknown_one_keeps_its_own():
    words = Words("en")
    assert who("cli:anna", words) == "anna (command line)"
    assert who("sweep:stuck", words) == "periodic check stuck"
    assert who("daemon", words) == "the daemon"
    assert who("something:new", words) == "something:new"


def test_what_a_table_was_told_and_which_files_were_found_are_told_in_words():
    before = msgspec.json.encode(DONE)
    after = msgspec.json.encode(change(DONE, publish=Publish(state="published")))
    lines = [
        SimpleNamespace(
            seq=seq,
            at=AT,
            actor="daemon",
            op="task.published",
            task=task,
            reason=None,
            evidence={"files": ["rowkeeper/a.png"]},
        )
        for seq, task in enumerate((before, after))
    ]
    event = tell(lines, Words("zh"))[-1]
    assert event.text == "表格回写：已写入。"
    assert event.because == ("依据：文件：rowkeeper/a.png",)
