"""The first command a stranger runs."""

import asyncio
import signal
import sys
from pathlib import Path
from urllib.request import urlopen

from ledger.jsondir.check import verify
from tests.fakes.world import ROOT


async def start(folder: Path, *options: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, str(ROOT / "run_daemon.py"), "demo", "--dir", str(folder), *options),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )


async def test_the_demo_makes_real_pictures_and_videos_and_ends_with_0(tmp_path: Path) -> None:
    demo = await start(tmp_path)
    told, _ = await asyncio.wait_for(demo.communicate(), 60)
    assert demo.returncode == 0, told.decode()
    assert b"8 of 8 done" in told
    made = sorted(path.suffix for path in (tmp_path / "rowkeeper" / "outputs").rglob("*.*"))
    assert made == [".mp4"] * 3 + [".png"] * 5
    assert verify(tmp_path / "rowkeeper" / "ledger", outputs_root=tmp_path / "rowkeeper") == []


async def test_the_demo_stays_up_when_asked_and_tells_where_it_answers(tmp_path: Path) -> None:
    demo = await start(tmp_path, "--keep-running", "--rows", "2")
    assert demo.stdout is not None
    async with asyncio.timeout(60):
        async for line in demo.stdout:
            if line.startswith(b"HTTP API"):
                break
    url = line.decode().split()[-1]
    answer = await asyncio.to_thread(lambda: urlopen(url, timeout=10).read())
    assert b'"completed"' in answer
    demo.send_signal(signal.SIGTERM)
    await asyncio.wait_for(demo.communicate(), 20)
    assert demo.returncode == 0
