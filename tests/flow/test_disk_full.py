"""A daemon whose disk takes nothing more says so wherever it is asked, and goes on by itself."""

import resource
from collections import Counter
from pathlib import Path

import aiohttp

from daemon.comfy.simulator import Simulator
from ledger.status import Stage
from tests.browser.installation import Running, running
from tests.fakes.waiting import until
from tests.fakes.world import TWO_ROWS, World


def let_write(daemon: Running, size_bytes: int) -> None:
    """Have the system refuse the daemon every write beyond *size_bytes* of a file, from now on.

    No right is needed for that, unlike for a disk of our own; 0 is a disk without any room.
    """
    limits = (size_bytes, resource.RLIM_INFINITY)
    resource.prlimit(daemon.process.pid, resource.RLIMIT_FSIZE, limits)


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
            let_write(daemon, 0)
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

            let_write(daemon, resource.RLIM_INFINITY)
            await daemon.until("/readyz", lambda said: said["ready"])
            await until(lambda: world.stages() == Counter({Stage.DONE: 3}))
            await until(lambda: not drop.exists())
            assert await warned_of(daemon, world) == [set(), set()]
        assert world.verify() == []
