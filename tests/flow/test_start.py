"""What is refused at start, and what a running daemon takes over."""

import asyncio
import json
import os
import re
import signal
from pathlib import Path

import pytest

from daemon.comfy.simulator import Simulator
from ledger.status import Stage
from tests.fakes.world import ROOT, TWO_ROWS, World, finish

SHIPPED = ROOT / "config" / "examples" / "workflows" / "image_composition.json"


def without_output() -> str:
    graph = json.loads(SHIPPED.read_text("utf-8"))
    return json.dumps(
        {key: node for key, node in graph.items() if "Save" not in node["class_type"]}
    )


def with_title(old: str, new: str) -> str:
    return SHIPPED.read_text("utf-8").replace(f'"{old}"', f'"{new}"')


BAD_TEMPLATES = {
    "in UI format": ('{"nodes": [], "links": [], "version": 0.4}', ".template", "Export (API)"),
    "not JSON": ("not json", ".template", "Export (API)"),
    "with an unknown title": (with_title("product", "produkt"), ".inputs.product_image", "produkt"),
    "without an output node": (without_output(), ".outputs.image", "output"),
}


@pytest.mark.parametrize("command", ["check", "run"])
@pytest.mark.parametrize("bad", BAD_TEMPLATES)
async def test_a_template_that_cannot_work_is_refused_with_the_key_and_the_fix(
    bad: str, command: str, tmp_path: Path
) -> None:
    content, key, fix = BAD_TEMPLATES[bad]
    template = tmp_path / "mine.json"
    template.write_text(content, encoding="utf-8")
    world = World(tmp_path / "world", "http://127.0.0.1:9")
    settings = world.config.read_text("utf-8").replace(str(SHIPPED), str(template))
    world.config.write_text(settings, encoding="utf-8")
    code, told = await world.run(command)
    assert code == 2, told
    assert f'workflows."图片合成"{key}' in told
    assert fix in told


async def test_sighup_takes_over_a_mended_workflow(tmp_path: Path) -> None:
    async with Simulator(tmp_path / "comfyui") as simulator:
        world = World(tmp_path / "world", simulator.url)
        template = tmp_path / "mine.json"
        template.write_text(with_title("ImageAddNoise", "NoSuchNode"), encoding="utf-8")
        settings = world.config.read_text("utf-8").replace(str(SHIPPED), str(template))
        world.config.write_text(settings, encoding="utf-8")
        world.drop("spring", TWO_ROWS[:1])
        daemon = await world.daemon("run")
        async with asyncio.timeout(30):
            while not any(task.error_kind for task in world.tasks()):
                await asyncio.sleep(0.05)
            template.write_bytes(SHIPPED.read_bytes())
            more = settings.replace("port = 0", "port = 1").replace('"gpu-0"', '"gpu-1"')
            world.config.write_text(more, encoding="utf-8")
            daemon.send_signal(signal.SIGHUP)
            while world.stages()[Stage.DONE] != 1:
                await asyncio.sleep(0.05)
        daemon.send_signal(signal.SIGTERM)
        code, log = await finish(daemon, 15)
        assert code == 0, log
        assert "settings.reloaded" in log
        (waiting,) = [json.loads(line) for line in log.splitlines() if "wait_for_start" in line]
        assert waiting["sections"] == ["servers", "web"]


async def test_a_hangup_while_the_program_loads_is_heeded_later_and_does_not_end_it(
    tmp_path: Path,
) -> None:
    world = World(tmp_path / "world", "http://127.0.0.1:9")
    settings, pipe = world.config.read_text("utf-8"), world.config
    pipe.rename(ready := tmp_path / "ready.toml")
    os.mkfifo(pipe)
    daemon = await world.daemon("run")
    with await asyncio.to_thread(pipe.open, "w", encoding="utf-8") as read:  # it begins to read
        daemon.send_signal(signal.SIGHUP)
        await asyncio.sleep(0.1)
        ready.replace(pipe)
        read.write(settings)
    assert daemon.stderr is not None
    async with asyncio.timeout(30):
        while b"settings.reloaded" not in (line := await daemon.stderr.readline()):
            assert line, "it has ended"
    daemon.send_signal(signal.SIGTERM)
    code, log = await finish(daemon, 15)
    assert code == 0, log


async def test_a_damaged_ledger_dispatches_nothing_until_it_is_repaired(tmp_path: Path) -> None:
    async with Simulator(tmp_path / "comfyui") as simulator:
        world = World(tmp_path / "world", simulator.url)
        world.drop("spring", TWO_ROWS[:1])
        assert await world.run_here() == 0
        (journal,) = world.ledger.glob("journal-*.jsonl")
        lines = journal.read_bytes().splitlines(keepends=True)
        lines[3] = lines[3].replace(b"spring", b"sprint", 1)  # a middle line, not as it was written
        journal.write_bytes(b"".join(lines))
        (world.ledger / "ledger.json").unlink()
        (world.ledger / "ledger.previous.json").unlink(missing_ok=True)
        world.drop("summer", TWO_ROWS[1:])
        daemon = await world.daemon("run")
        async with asyncio.timeout(30):
            while len(world.tasks()) < 3:
                await asyncio.sleep(0.05)
        await asyncio.sleep(1)  # long enough for a submission, had it been wanted
        daemon.send_signal(signal.SIGTERM)
        code, log = await finish(daemon, 15)
        assert code == 0, log
        assert "ledger.damaged" in log
        assert len(simulator.executions) == 1
        code, told = await world.run("ledger", "repair")
        assert code == 0, told
        await world.run("run", "--once")
        assert world.stages()[Stage.DONE] == len(world.tasks())
        assert simulator.executions.per_task().most_common(1)[0][1] == 1


async def test_run_once_refuses_a_damaged_ledger_that_check_and_status_tell_of(
    tmp_path: Path,
) -> None:
    async with Simulator(tmp_path / "comfyui") as simulator:
        world = World(tmp_path / "world", simulator.url)
        world.drop("spring", TWO_ROWS)
        assert await world.run_here() == 0
        (journal,) = world.ledger.glob("journal-*.jsonl")
        content = bytearray(journal.read_bytes())
        content[len(content) // 2] ^= 1  # the snapshot holds this change; a submission may be lost
        journal.write_bytes(content)
        drop, made = world.drop("summer", TWO_ROWS[:1]), len(world.tasks())
        for _ in range(2):  # the journal that the first try began covers nothing up
            code, told = await world.run("run", "--once")
            assert code == 1, told
            assert "are damaged" in told
            assert "ledger repair" in told
            assert "Traceback" not in told
            assert drop.exists()
            assert len(world.tasks()) == made
            code, told = await world.run("check")
            assert code == 1
            assert re.search(r"fail ledger: .*damaged.*ledger repair", told), told
            code, told = await world.run("status")
            assert "ledger repair" in told
        code, told = await world.run("ledger", "repair")
        assert code == 0, told
        assert await world.run_here() == 0
        assert not drop.exists()
        assert world.stages()[Stage.DONE] == len(world.tasks())
