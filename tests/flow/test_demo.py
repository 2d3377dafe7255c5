"""The first command a stranger runs."""

import asyncio
import os
import pty
import re
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
    assert re.search(rb"^Dashboard  http://127.0.0.1:\d+/ ", told, re.MULTILINE)
    assert b"\x1b" not in told, "piped output is plain lines"
    made = sorted(path.suffix for path in (tmp_path / "rowkeeper" / "outputs").rglob("*.*"))
    assert made == [".mp4"] * 3 + [".png"] * 5
    assert verify(tmp_path / "rowkeeper" / "ledger", outputs_root=tmp_path / "rowkeeper") == []


async def test_the_demo_stays_up_when_asked_and_tells_where_it_answers(tmp_path: Path) -> None:
    demo = await start(tmp_path, "--keep-running", "--rows", "2")
    assert demo.stdout is not None
    async with asyncio.timeout(60):
        async for line in demo.stdout:
            if line.startswith(b"2 of 2 done"):
                break
        line = await demo.stdout.readline()
    assert line.startswith(b"Dashboard")
    url = line.decode().split()[1] + "api/batches"
    answer = await asyncio.to_thread(lambda: urlopen(url, timeout=10).read())
    assert b'"completed"' in answer
    demo.send_signal(signal.SIGTERM)
    await asyncio.wait_for(demo.communicate(), 20)
    assert demo.returncode == 0


async def test_on_a_terminal_bars_show_batches_and_servers_and_leave_it_as_it_was(
    tmp_path: Path,
) -> None:
    ours, theirs = pty.openpty()
    demo = await asyncio.create_subprocess_exec(
        *(sys.executable, str(ROOT / "run_daemon.py"), "demo", "--dir", str(tmp_path)),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={**os.environ, "TERM": "xterm-256color", "COLUMNS": "120", "LINES": "40"},
    )
    os.close(theirs)
    shown = bytearray()

    def read() -> None:
        try:
            while piece := os.read(ours, 65536):
                shown.extend(piece)
        except OSError:  # the other end is closed
            return

    reading = asyncio.create_task(asyncio.to_thread(read))
    async with asyncio.timeout(60):
        assert await demo.wait() == 0
        await reading
    os.close(ours)
    text = shown.decode("utf-8", "replace")
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)
    assert re.search(r"spring-\w{6} ━+[╸╺━]* *\d/8", plain)
    assert re.search(r"simulator +\d/2 图片合成 ", plain)
    assert text.rindex("\x1b[?25h") > text.rindex("\x1b[?25l"), "the cursor is shown again"
    assert "已完成 img_" not in plain, "bars take the place of lines"
