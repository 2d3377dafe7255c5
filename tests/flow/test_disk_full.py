"""A daemon whose disk takes nothing more says so wherever it is asked, and goes on by itself."""

import asyncio
import resource
import signal
import sys
from collections import Counter
from pathlib import Path

import aiohttp
import pytest

from daemon.comfy.simulator import Simulator
from ledger.status import Stage
from tests.browser.installation import Running, running
from tests.fakes.waiting import until
from tests.fakes.world import ROOT, TWO_ROWS, World, finish, free_port


def let_write(process: asyncio.subprocess.Process, size_bytes: int) -> None:
    """Have the system refuse the process every write beyond *size_bytes* of a file, from now on.

    No right is needed for that, unlike for a disk of our own; 0 is a disk without any room.
    """
    limits = (size_bytes, resource.RLIM_INFINITY)
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, limits)


async def start_without_room(world: World, *arguments: str) -> asyncio.subprocess.Process:
    """Start the real program on a disk without any room; ``let_write`` makes some."""
    limited = ("sh", "-c", 'ulimit -S -f 0 && exec "$@"', "sh")
    command = (sys.executable, str(ROOT / "run_daemon.py"), "--config", str(world.config))
    return await asyncio.create_subprocess_exec(
        *limited,
        *command,
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def waits_for_room(process: asyncio.subprocess.Process) -> None:
    """Return when the process has said that it does; what it logs then is read on."""
    assert process.stderr is not None
    async with asyncio.timeout(30):
        while b"start.waits_for_room" not in (line := await process.stderr.readline()):
            assert line, "it has ended"


async def drained(daemon: Running) -> tuple[int, str]:
    """Ask for a change; return the status and the code of a refusal."""
    headers = {"Authorization": f"Bearer {daemon.token}"}
    async with (
        aiohttp.ClientSession(headers=headers) as session,
        session.post(f"{daemon.url}/api/servers/gpu-0/drain") as answer,
    ):
        return answer.status, (await answer.json()).get("error", {}).get("code", "")


async def warned_of(daemon: Running, world: World) -> list[set[str]]:
    """Return what the door and the command line warn of."""
    code, by_command = await world.asked("status")
    assert code == 0
    by_door = await daemon.get("/api/status")
    return [{each["code"] for each in told["warnings"]} for told in (by_door, by_command)]


async def test_a_full_disk_is_told_everywhere_and_work_goes_on_once_there_is_room(
    tmp_path: Path,
) -> None:
    async with Simulator(tmp_path / "comfyui") as simulator:
        world = World(tmp_path / "world", simulator.url)
        async with running(world) as daemon:
            await daemon.until("/readyz", lambda said: said["ready"])
            let_write(daemon.process, 0)
            assert await drained(daemon) == (503, "ledger_closed")
            ready = await daemon.get("/readyz")
            assert (ready["ready"], ready["ledger_writable"]) == (False, False)
            drop = world.drop("spring", TWO_ROWS)
            await daemon.until(
                "/api/status",
                lambda said: "postponed" in [each["code"] for each in said["warnings"]],
            )
            assert await warned_of(daemon, world) == [{"ledger", "postponed"}] * 2
            assert drop.exists()

            let_write(daemon.process, resource.RLIM_INFINITY)
            await daemon.until("/readyz", lambda said: said["ready"])
            await until(lambda: world.stages() == Counter({Stage.DONE: 3}))
            await until(lambda: not drop.exists())
            assert await warned_of(daemon, world) == [set(), set()]
        assert world.verify() == []


@pytest.mark.parametrize("state", ["new", "used"])
async def test_a_start_on_a_full_disk_waits_for_room_and_goes_on_by_itself(
    tmp_path: Path, state: str
) -> None:
    async with Simulator(tmp_path / "comfyui") as simulator:
        world = World(tmp_path / "world", simulator.url)
        if state == "used":
            world.drop("winter", TWO_ROWS[:1])
            assert await world.run_here() == 0
        drop = world.drop("spring", TWO_ROWS)
        daemon = await start_without_room(world, "run")
        await waits_for_room(daemon)
        assert drop.exists()

        let_write(daemon, resource.RLIM_INFINITY)
        await until(lambda: world.stages()[Stage.DONE] == (4 if state == "used" else 3))
        daemon.send_signal(signal.SIGTERM)
        code, log = await finish(daemon)
        assert code == 0, log
        assert world.verify() == []


async def test_a_start_that_waits_for_room_keeps_others_out_and_says_at_its_door_why(
    tmp_path: Path,
) -> None:
    world = World(tmp_path / "world", "http://127.0.0.1:9")
    port = free_port()
    settings = world.config.read_text("utf-8").replace("port = 0", f"port = {port}")
    world.config.write_text(settings, encoding="utf-8")
    daemon = await start_without_room(world, "run")
    await waits_for_room(daemon)
    for arguments in (("run",), ("run", "--once")):
        code, log = await finish(await start_without_room(world, *arguments), 20)
        assert code == 3, log
    _, told = await world.asked("check")  # it has no room to write who holds the lock
    found = {line["name"]: (line["level"], line["message"]) for line in told["checks"]}
    assert found["web"][0] == "warn", found["web"]
    assert found["lock"] != ("ok", "nobody holds the ledger")
    headers = {"Accept-Language": "en"}
    async with aiohttp.ClientSession(f"http://127.0.0.1:{port}", headers=headers) as session:
        async with session.get("/healthz") as answer:
            assert answer.status == 200
            alive = await answer.json()
        async with session.get("/readyz") as answer:
            assert answer.status == 503
            assert await answer.json() == {
                "ready": False,
                "ledger_writable": False,
                "ledger_damaged": False,
                "servers_reachable": 0,
                "servers": 1,
                "reason": alive["reason"],
            }
        async with session.get("/") as answer:
            assert (answer.status, answer.headers["Retry-After"]) == (503, "5")
            error = (await answer.json())["error"]
        async with session.get("/healthz", headers={"Host": "evil.example"}) as answer:
            assert answer.status == 421
    assert alive["status"] == "starting"
    assert "the disk is full" in alive["reason"]
    assert error["code"] == "starting"
    assert alive["reason"] in error["message"]
    daemon.send_signal(signal.SIGTERM)
    code, log = await finish(daemon, 20)
    assert code == 0, log
    assert "start.waits_for_room" not in log  # it was read before, and is not told once more


async def test_a_run_to_the_end_does_not_wait_for_room(tmp_path: Path) -> None:
    world = World(tmp_path / "world", "http://127.0.0.1:9")
    code, log = await finish(await start_without_room(world, "run", "--once"), 20)
    assert code == 1, log
    assert "Traceback" not in log
