"""Exit codes, what goes where, and what is not imported."""

import errno
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from daemon.cli.disk_trouble import sentence_on
from daemon.cli.invocation import Invocation
from daemon.cli.main import COMMANDS
from ledger.jsondir.files import Disk
from ledger.jsondir.lock import FolderLock
from tests.fakes.chinese import chinese_in, english_in
from tests.fakes.records import AT, batch_record, task_record

ROOT = Path(__file__).parents[3]
PROGRAM = ROOT / "run_daemon.py"


def child(*arguments: str, cwd: Path, **env: str) -> subprocess.CompletedProcess[str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("ROWKEEPER", "LC_", "LANG"))}
    return subprocess.run(
        [sys.executable, str(PROGRAM), *arguments],
        cwd=cwd,
        env={**kept, "LANG": "C.UTF-8", **env},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_bad_usage_is_2_and_told_on_stderr(command):
    assert command("nonsense", code=2) == ""
    assert "No such command" in command.err
    assert command("tasks", "--nonsense", code=2) == ""
    assert command("tasks", "--status", "nonsense", code=2) == ""
    assert "waiting, submitting" in command.err


@pytest.mark.parametrize(
    "arguments",
    [
        ["nonsense"],
        ["--nonsense"],
        ["statu"],
        ["batch"],
        ["batch", "a", "nonsense"],
        ["batch", "a", "rerun", "--set", "nonsense"],
        ["check", "a"],
        ["check", "a", "b"],
        ["check", "--json=1"],
        ["tasks", "--limit"],
        ["tasks", "--limit", "a"],
        ["tasks", "--limit", "0"],
        ["tasks", "--limi", "1"],
        ["tasks", "--status", "a"],
        ["stuck", "--max-runtime-minutes", "a"],
        ["simulate", "--folder", "rowkeeper.toml"],
    ],
    ids=" ".join,
)
def test_bad_usage_is_told_in_the_language_of_the_settings(command, arguments):
    command.configure("")
    command.config.write_text('language = "zh"\nweb.port = 0\n', "utf-8")
    command(*arguments, code=2)
    said = command.err.replace("[pause|resume|stop|rerun|retry-failed]", "")
    assert re.search(r"错误：.*[\u4e00-\u9fff]", said)
    assert re.findall(r"[A-Z][a-z]+ [a-z]+|OPTIONS|is not", said) == []
    command.configure("")
    command(*arguments, code=2)
    assert chinese_in(command.err) == ""


def test_help_is_told_in_the_language_of_the_locale(tmp_path):
    for arguments in (["--help"], ["ledger", "--help"], ["tasks", "--help"]):
        told = child(*arguments, cwd=tmp_path, LANG="zh_CN.UTF-8").stdout
        assert told.startswith("用法：rowkeeper ")
        assert english_in(told) == ""
        told = child(*arguments, cwd=tmp_path).stdout
        assert told.startswith("Usage: rowkeeper ")
        assert chinese_in(told) == ""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux's /dev/full")
def test_a_full_disk_is_1_and_told_in_one_line(tmp_path):
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, str(PROGRAM), "config", "example"],
            cwd=tmp_path,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
            check=False,
        )
    assert (done.returncode, done.stderr) == (1, "No space left on device\n")


def test_a_disk_that_takes_nothing_is_named_with_what_to_do(command, monkeypatch, tmp_path):
    command.state_dir.mkdir()
    invocation = Invocation(command.config, {}, as_json=False)
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "mine/a.png", None, "var/a.png")
    assert sentence_on(full, invocation) == "var/a.png: No space left on device"  # another disk
    monkeypatch.setattr("daemon.disks.FULL_BELOW_BYTES", 2**63)
    said = f"nothing can be written to {command.state_dir}; make room"
    assert said in (sentence_on(full, invocation) or "")
    denied = PermissionError(errno.EACCES, "Permission denied", str(tmp_path / "web.json"))
    assert "run this as the daemon's user (sudo -u " in (sentence_on(denied, invocation) or "")


def test_bad_settings_are_2_with_each_problem_on_a_line_of_its_own(command):
    command.configure("[web]\nport = 70000\nprot = 1\n")
    assert command("status", code=2) == ""
    lines = command.err.splitlines()
    assert lines[0] == "web.prot: unknown key; did you mean port?"
    assert lines[1] == "web.port = 70000: must be a whole number from 0 to 65535"
    assert lines[2] == "2 problem(s) in the settings; nothing was started."


@pytest.mark.usefixtures("restored_logs")
@pytest.mark.parametrize("arguments", [(), ("run",), ("run", "--once")])
def test_a_template_that_cannot_be_used_is_2_with_the_key_and_the_fix(command, arguments):
    command.configure(
        '[workflows."图片合成"]\ntemplate = "t.json"\ninputs = {seed = "sampler.seed"}\n'
        '[workflows.other]\ntemplate = "none.json"\n'
    )
    command.config.with_name("t.json").write_text('{"nodes": [], "links": []}')
    assert command(*arguments, code=2) == ""
    first, second, *_ = command.err.splitlines()
    assert first.startswith('workflows."图片合成".template: the file is in ComfyUI\'s own save')
    assert "Export (API)" in first
    assert second.startswith("workflows.other.template: ")
    assert "No such file" in second


def test_bad_settings_are_told_in_the_language_that_they_ask_for(command):
    template = "[workflows.x]\ntemplate = 'none.json'\n"
    command.config.write_text(f'language = "zh"\n{template}[web]\nprot = 1\n', "utf-8")
    command("run", code=2)
    *problems, last = command.err.splitlines()
    assert problems[0] == "web.prot：没有这个键；是否想写 port？"
    assert problems[1].startswith("workflows.x.template：")
    assert [english_in(line) for line in [*problems, last]] == [""] * 3
    shown = command("check", code=2)
    assert "fail config: web.prot：没有这个键" in shown


@pytest.mark.usefixtures("restored_logs")
def test_a_ledger_in_use_is_3_and_names_the_holder(command):
    command.record([batch_record()])
    lock = FolderLock(command.ledger, Disk())
    lock.take(AT)
    try:
        for arguments in (["ledger", "compact"], ["ledger", "repair"], ["run", "--once"]):
            assert command(*arguments, code=3) == ""
            assert f"process {os.getpid()} on" in command.err
            assert "Stop that process" in command.err
        command.config.write_text('language = "zh"\n', "utf-8")
        command("ledger", "compact", code=3)
        assert f"上的进程 {os.getpid()}" in command.err
        assert english_in(command.err) == ""
    finally:
        lock.drop()


def test_what_is_wrong_with_the_ledger_is_told_in_the_language_of_the_settings(command):
    command.record([batch_record()], *([task_record(n)] for n in range(1, 5)))
    snapshot, journal = (
        command.ledger / "ledger.json",
        command.ledger / "journal-000000000001.jsonl",
    )
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join([*lines[:2], b"damaged\n", *lines[3:]]))
    snapshot.write_bytes(snapshot.read_bytes().replace(b"spring", b"summer", 1))
    wrong = command("ledger", "verify", code=1)
    assert "are damaged" in wrong
    assert "the checksum does not fit" in wrong
    assert chinese_in(wrong) == ""
    command.config.write_text('language = "zh"\nweb.port = 0\n', "utf-8")
    for arguments, code in (("ledger verify", 1), ("status", 0), ("ledger repair", 0)):
        told = command(*arguments.split(), code=code).replace("`ledger repair`", "")
        assert "已损坏" in told
        assert "缺少变更 3 至 3" in told
        assert re.findall(r"[a-z]{3,} [a-z]{2,}", told) == []


def test_a_folder_that_cannot_be_made_is_1_and_named(command, tmp_path):
    (tmp_path / "file").write_text("")
    command.configure('[inbox]\npath = "file/inbox"\n')
    (tmp_path / "plain.csv").write_text("prompt\nx\n")
    assert command("submit", "plain.csv", code=1) == ""
    assert command.err == f"{tmp_path / 'file' / 'inbox'}: Not a directory\n"


NO_TASKS = '{"tasks":[],"next_cursor":null}\n'


def test_json_may_stand_before_the_command_too(command):
    assert command("--json", "tasks") == command("tasks", "--json") == NO_TASKS


def test_the_help_lists_every_command_in_its_order(command):
    lines = command("--help").split("Commands:\n")[1].splitlines()
    assert [line.split()[0] for line in lines if line.startswith("  ")] == list(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_of_the_list_is_there_and_explains_itself(command, name):
    assert f"rowkeeper {name}" in command(name, "--help")


def test_the_help_is_chinese_under_a_chinese_locale(tmp_path):
    assert "列出任务" in child("--help", cwd=tmp_path, LANG="zh_CN.UTF-8").stdout


READING = [["status"], ["tasks"], ["task", "img_20261121_000001"], ["ledger", "export"]]
READING += [["ledger", "history", "img_20261121_000001"], ["config", "show"]]
READING += [["why", "img_20261121_000001"], ["batches"], ["batch", "spring"], ["servers"]]


SLOW = {"asyncio", "aiohttp", "PIL", "structlog", "openpyxl", "watchdog"}


def slow_imports_of(program: str) -> str:
    """Return the libraries of SLOW, and filelock, that *program* loads; or why it failed."""
    program += f"\nimport sys; print(sorted({SLOW | {'filelock'}} & sys.modules.keys()))"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return done.stderr or done.stdout.splitlines()[-1]


@pytest.mark.parametrize("arguments", READING, ids=" ".join)
def test_reading_loads_no_event_loop_no_http_and_no_pictures(command, arguments):
    command.record([batch_record(), task_record()])
    program = (
        "from daemon.cli.main import exit_code\n"
        f"assert exit_code(['--config', {str(command.config)!r}, *{arguments}]) == 0"
    )
    assert slow_imports_of(program) == "[]"


@pytest.mark.parametrize("module", sorted({place.split(":")[0] for place in COMMANDS.values()}))
def test_a_command_loads_no_event_loop_before_it_is_called(module):
    assert slow_imports_of(f"import {module}") in ("[]", "['filelock']")


def test_a_daemon_loads_openpyxl_only_for_a_workbook():
    loaded = slow_imports_of("import daemon.app, daemon.tables.opening")
    assert loaded == str(sorted({*SLOW, "filelock"} - {"openpyxl"}))


def test_a_reader_that_has_seen_enough_is_no_error_worth_a_traceback(command):
    command.record([batch_record(), *(task_record(number) for number in range(1, 2000))])
    program = subprocess.Popen(
        [sys.executable, str(PROGRAM), "--config", str(command.config), "ledger", "export"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert program.stdout is not None
    assert program.stderr is not None
    with program:
        program.stdout.read(10)
        program.stdout.close()
        assert program.stderr.read() == b""
    assert program.returncode == 1


@pytest.mark.parametrize("name", ["ledger", "config"])
def test_a_group_without_a_command_tells_its_help_alone(command, name):
    for language in ("en", "zh"):
        command.config.write_text(f'language = "{language}"\n', "utf-8")
        helped = command(name, "--help")
        assert command(name, code=2) == ""
        assert command.err == helped
