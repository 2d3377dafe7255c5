"""`check` says of everything a run needs how it is and what to do."""

import asyncio
import json
import os
import socket
from pathlib import Path

import pytest

from config.builtin import EXAMPLES
from daemon.comfy.simulator import Simulator
from ledger.jsondir.files import Disk
from ledger.jsondir.lock import FolderLock
from ledger.task import InputFile
from tests.fakes.feishu import FakeFeishu
from tests.fakes.feishu_users import SheetUser
from tests.fakes.records import AT, batch_record, task_record
from tests.fakes.world import free_port

PICTURE = InputFile(name="a.png", sha256="0" * 64, size_bytes=1)
PICTURES = {"product_image": PICTURE, "model_image": PICTURE}


def server(url: str, name: str = "gpu-a") -> str:
    return f'[[servers]]\nname = "{name}"\nurl = "{url}"\n'


async def checks(command, code: int = 0) -> list[tuple[str, str, str]]:
    document = await asyncio.to_thread(command.json, "check", code=code)
    assert document["ok"] is (code == 0)
    return [(line["level"], line["name"], line["message"]) for line in document["checks"]]


def named(found: list[tuple[str, str, str]], name: str) -> list[tuple[str, str]]:
    return [(level, message) for level, one, message in found if one == name]


async def test_with_everything_there_all_lines_are_ok(command, tmp_path):
    async with Simulator(tmp_path / "comfyui") as simulator:
        command.configure(server(simulator.url))
        text = await asyncio.to_thread(command, "check")
    lines = text.splitlines()
    assert all(line.startswith(("ok   ", "warn disk")) for line in lines)
    names = [line.split(": ")[0].removeprefix("ok   ") for line in lines]
    for name in ("config", "inbox", "ledger", "lock", "server gpu-a", "workflow 图片合成", "rows"):
        assert name in names
    assert not (tmp_path / "var").exists()


async def test_a_server_that_does_not_answer_fails_with_its_address(command, tmp_path):
    url = f"http://127.0.0.1:{free_port()}"
    async with Simulator(tmp_path / "comfyui") as simulator:
        command.configure(server(simulator.url) + server(url, "gpu-b"))
        found = await checks(command, code=1)
    assert named(found, "server gpu-a")[0][0] == "ok"
    ((level, message),) = named(found, "server gpu-b")
    assert level == "fail"
    assert url in message
    assert "start it" in message


async def test_a_server_that_is_too_old_gets_no_work(command, tmp_path):
    async with Simulator(tmp_path / "comfyui", version="0.3.40") as simulator:
        command.configure(server(simulator.url))
        found = await checks(command, code=1)
    ((level, message),) = named(found, "server gpu-a")
    assert level == "fail"
    assert "gets no work" in message
    assert "0.3.57" in message


async def test_a_node_that_no_server_has_is_named(command, tmp_path):
    template = tmp_path / "mine.json"
    original = (EXAMPLES / "workflows" / "image_composition.json").read_text("utf-8")
    template.write_text(original.replace('"SaveImage"', '"MagicSave"'), "utf-8")
    assert "MagicSave" in template.read_text("utf-8")
    async with Simulator(tmp_path / "comfyui") as simulator:
        command.configure(server(simulator.url) + '[workflows.mine]\ntemplate = "mine.json"\n')
        found = await checks(command, code=1)
    told = named(found, "workflow mine")
    assert ("ok", f"{template} fits its inputs and outputs") in told
    assert any(level == "warn" and "MagicSave" in message for level, message in told)
    assert any(level == "fail" and "no server" in message for level, message in told)


async def test_a_template_that_cannot_be_used_is_bad_configuration(command, tmp_path):
    (tmp_path / "t.json").write_text("{")
    url = f"http://127.0.0.1:{free_port()}"
    command.configure(server(url) + '[workflows.mine]\ntemplate = "t.json"\n')
    found = await checks(command, code=2)
    ((level, message),) = named(found, "workflows.mine.template")
    assert level == "fail"
    assert "Export (API)" in message


async def test_names_that_a_start_would_refuse_are_bad_configuration(command):
    command.configure(server(f"http://127.0.0.1:{free_port()}") + '[outputs]\nname = "same{ext}"\n')
    ((level, message),) = named(await checks(command, code=2), "config")
    assert level == "fail"
    assert message.startswith('outputs.name = "same{ext}": it needs {index}')
    assert "rows would share a name" in message


async def test_templates_are_looked_at_even_when_settings_are_wrong(command):
    command.configure('[web]\nport = 99999\n[workflows.mine]\ntemplate = "nofile.json"\n')
    found = [message.split(" ")[0] for _, _, message in await checks(command, code=2)]
    assert found == ["web.port", "workflows.mine.template:"]
    assert command("run", code=2) == ""
    assert "nofile.json" in command.err
    assert "2 problem(s)" in command.err


async def test_bad_settings_are_told_line_by_line(command):
    command.configure("[web]\nport = 70000\n")
    assert await checks(command, code=2) == [
        ("fail", "config", "web.port = 70000: must be a whole number from 0 to 65535")
    ]


async def test_a_port_that_another_program_has_is_told_and_one_of_our_own_daemon_is_fine(
    command, tmp_path
):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        async with Simulator(tmp_path / "comfyui") as simulator:
            command.configure(server(simulator.url) + f"[web]\nport = {port}\n")
            ((level, message),) = named(await checks(command, code=2), "web")
            assert level == "fail"
            assert f"listens at port {port}" in message
            command.ledger.mkdir(parents=True)
            lock = FolderLock(command.ledger, Disk())
            lock.take(AT)
            ((level, message),) = named(await checks(command), "web")
            assert (level, f"starting (process {os.getpid()})" in message) == ("warn", True)
            address = {"url": f"http://127.0.0.1:{port}", "pid": os.getpid()}
            (command.state_dir / "web.json").write_text(json.dumps(address))
            ((level, message),) = named(await checks(command), "web")
            assert (level, "this state folder" in message) == ("ok", True)
            lock.drop()
    ((level, _),) = named(await checks(command, code=1), "web")  # the servers are gone
    assert level == "ok"


async def test_columns_that_the_first_look_adds_are_no_failure(command, tmp_path):
    (tmp_path / "t.csv").write_text("产品名,产品图,模特图\n壶,a.png,b.png\n", "utf-8")
    table = '[[tables]]\nname = "t"\nkind = "csv"\npath = "t.csv"\n'
    async with Simulator(tmp_path / "comfyui") as simulator:
        command.configure(server(simulator.url) + table)
        assert named(await checks(command, code=1), "table t")[0][0] == "fail"
        command.configure(server(simulator.url) + table + "create_columns = true\n")
        first, second = named(await checks(command), "table t")
    assert first == (
        "ok",
        "columns that the first look will add: status, task_id (create_columns = true)",
    )
    assert second == ("ok", "can be read, 1 rows")


async def test_waiting_rows_are_counted_by_what_they_lack(command, tmp_path):
    rows = [task_record(number, inputs=PICTURES) for number in (1, 2, 3)]
    command.configure(server(f"http://127.0.0.1:{free_port()}"))
    await asyncio.to_thread(command.record, [batch_record(), *rows, task_record(4), task_record(5)])
    async with Simulator(tmp_path / "comfyui") as simulator:
        command.configure(server(simulator.url))
        found = await checks(command)
        assert ("warn", "3 of 5 rows ready, 2 missing picture") in named(found, "rows")
        command.config.write_text('language = "zh"\n' + server(simulator.url), "utf-8")
        found = await checks(command)
    assert ("warn", "5 行中 3 行就绪，2 行 缺图片") in named(found, "rows")


async def test_a_value_that_every_server_would_refuse_keeps_a_row_from_being_ready(
    command, tmp_path
):
    rows = [task_record(n, inputs=PICTURES, row={"seed": seed}) for n, seed in ((1, 5), (2, -3))]
    async with Simulator(tmp_path / "comfyui") as simulator:
        command.configure(server(simulator.url))
        await asyncio.to_thread(command.record, [batch_record(), *rows])
        told = named(await checks(command), "rows")
    assert told[0] == ("warn", "1 of 2 rows ready, 1 refused by the server")
    assert "-3 is smaller than 0" in told[1][1]


def test_the_holder_of_the_ledger_is_named(command):
    command.configure(server(f"http://127.0.0.1:{free_port()}"))
    command.record([batch_record()])
    lock = FolderLock(command.ledger, Disk())
    lock.take(AT)
    try:
        text = command("check", code=1)
    finally:
        lock.drop()
    assert f"ok   lock: held by process {os.getpid()} on" in text


async def test_a_ledger_of_a_newer_version_fails_and_the_rest_is_looked_at(command):
    command.configure(server(f"http://127.0.0.1:{free_port()}"))
    await asyncio.to_thread(command.record, [batch_record(), task_record(1)])
    command.make_newer()
    told = await checks(command, code=1)
    ((level, message),) = [line for line in named(told, "ledger") if line[0] != "ok"]
    assert (level, message.split(",")[0]) == ("fail", "The ledger has format 99")
    assert (named(told, "rows"), len(named(told, "server gpu-a"))) == ([], 1)


@pytest.mark.parametrize("place", ["inbox", "outputs"])
def test_a_file_where_a_folder_should_be_fails(command, place):
    (command.state_dir).mkdir()
    (command.state_dir / place).write_text("")
    command.configure(server(f"http://127.0.0.1:{free_port()}"))
    text = command("check", code=1)
    assert (
        f"fail {place}: {command.state_dir / place} cannot be written: there is no folder" in text
    )


def test_a_folder_without_the_right_to_write_fails(command, monkeypatch):
    command.state_dir.mkdir()
    denied = command.state_dir

    def access(path: Path, _: int) -> bool:  # root may write everywhere, so ask somebody else
        return Path(path) != denied

    monkeypatch.setattr(os, "access", access)
    command.configure(server(f"http://127.0.0.1:{free_port()}"))
    assert "fail inbox: " in command("check", code=1)


async def test_tables_and_bot_are_looked_at_and_written_to_only_on_request(command, tmp_path):
    async with Simulator(tmp_path / "comfyui") as simulator, FakeFeishu() as feishu:
        user = SheetUser(tmp_path / "document", feishu.clock)
        user.feishu = feishu
        user.fill(["产品名", "任务ID", "状态"], [{"产品名": "茶壶"}])
        alerts = f'[alerts]\nfeishu_webhook = "{feishu.hook}"\n'
        command.configure(server(simulator.url) + user.toml + alerts)
        found = await checks(command)
        assert [level for level, _ in named(found, "table table")] == ["ok"] * 3
        assert named(found, "alerts")[0][0] == "ok"
        assert (feishu.count("sheets.write"), feishu.texts) == (0, [])
        await asyncio.to_thread(command, "check", "--write-test")
        assert (feishu.count("sheets.write"), len(feishu.texts)) == (2, 1)
        user.book.is_shared = False
        feishu.fail("bot.send", 19021)
        text = await asyncio.to_thread(command, "check", "--write-test", code=1)
    assert (
        "fail table table: the app has no access to the document (91403); in the document:" in text
    )
    assert "fail alerts: the bot refuses the signature (19021); check" in text
    assert feishu.app_secret not in text
    assert "hook-address-secret" not in text
