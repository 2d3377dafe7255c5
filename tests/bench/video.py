"""Downloading a large video: ours, to the proven file, against reading it and throwing it away.

And against the promised work alone, which is what two cores and this disk allow, and the bare read
on the daemon's event loop. All take their turns in one process, each with nothing left to write by
the one before.
"""

import asyncio
import os
import struct
import sys
import time
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import TypeAlias

import aiohttp
import msgspec
import uvloop
from aiohttp import web

from daemon.clock import SystemClock
from daemon.collect.download import Wanted, fetch
from daemon.collect.part import part_of
from daemon.collect.proof import place, prove
from daemon.comfy.client import ComfyClient
from daemon.comfy.server import FileRef
from daemon.running import loop_first
from daemon.upkeep.freed_memory import keep_little
from tests.bench.benchmark import Benchmark, Size, Target
from tests.bench.memory import resident_bytes
from tests.bench.own_process import own_process
from tests.bench.plain_download import download
from tests.fakes.loop_lag import LoopLag

REF = FileRef(node="40", filename="video.mp4", subfolder="rowkeeper/vid_1-1", type="output")
_MEGABYTE = 1 << 20

Run: TypeAlias = Callable[[Coroutine[None, None, tuple[float, float]]], tuple[float, float]]


def _measure(folder: Path, size: Size) -> Mapping[str, float]:
    video = folder / "served.mp4"
    megabytes = size.of(500, 8)
    _write_video(video, megabytes)
    with own_process("tests.bench.video", str(video)) as url:
        bare = _alone(_read(url + "/view"), asyncio.run)
        likewise = _alone(_read(url + "/view"), uvloop.run)
        plain = _alone(download(url + "/view", folder / "plain" / "video.mp4"), uvloop.run)
        ours = _alone(_ours(url, folder / "outputs" / "video.mp4"), uvloop.run)
    return {
        "bare read, MB/s": megabytes / bare.seconds,
        "bare read on uvloop, MB/s": megabytes / likewise.seconds,
        "promised work alone, MB/s": megabytes / plain.seconds,
        "ours, MB/s": megabytes / ours.seconds,
        "ours / bare read": bare.seconds / ours.seconds,
        "ours / bare read on uvloop": likewise.seconds / ours.seconds,
        "ours / promised work alone": plain.seconds / ours.seconds,
        "promised work alone / bare read": bare.seconds / plain.seconds,
        "loop held at most, ms": 1000 * ours.lag_seconds,
        "loop held by promised work alone, ms": 1000 * plain.lag_seconds,
        "loop held, ours / promised work alone": ours.lag_seconds / plain.lag_seconds,
        "memory growth, MB": max(0, ours.growth_bytes) / _MEGABYTE,
    }


class _Course(msgspec.Struct, frozen=True, kw_only=True):
    """How a download went: the longest the loop was held, and by how much memory grew."""

    seconds: float
    lag_seconds: float
    growth_bytes: int


def _alone(downloading: Coroutine[None, None, object], run: Run) -> _Course:
    """Return the course of a download that starts with nothing left to be written."""
    os.sync()
    before = resident_bytes()
    _forget_peak()
    seconds, lag_seconds = run(_timed(downloading))
    return _Course(seconds=seconds, lag_seconds=lag_seconds, growth_bytes=_peak_bytes() - before)


async def _timed(downloading: Coroutine[None, None, object]) -> tuple[float, float]:
    keep_little()
    with loop_first():
        async with LoopLag() as lag:
            began = time.perf_counter()
            await downloading
            seconds = time.perf_counter() - began
    return seconds, lag.worst_seconds


def _write_video(path: Path, megabytes: int) -> None:
    """Write an mp4 whose boxes are in order; nobody decodes what is in them."""
    stsz = _box(b"stsz", struct.pack(">III", 0, megabytes * _MEGABYTE, 1))
    stco = _box(b"stco", struct.pack(">III", 0, 1, 64))
    moov = _box(b"moov", _box(b"trak", _box(b"mdia", _box(b"minf", _box(b"stbl", stsz + stco)))))
    piece = bytes(range(256)) * (_MEGABYTE // 256)
    with path.open("wb") as file:
        file.write(_box(b"ftyp", b"isom\0\0\2\0isommp41"))
        file.write(struct.pack(">I4s", 8 + megabytes * _MEGABYTE, b"mdat"))
        for _ in range(megabytes):
            file.write(piece)
        file.write(moov)


def _box(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(content), name) + content


async def _read(url: str) -> None:
    """Read the file with aiohttp and throw its bytes away."""
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        async for _ in answer.content.iter_any():
            pass


async def _ours(url: str, final: Path) -> None:
    """Fetch the file as the daemon does, to its proven place."""
    client = ComfyClient("gpu", url, clock=SystemClock())
    part = part_of(final)

    def accept(whole: Path, content: bytes | None) -> None:
        prove(whole, content)
        place(whole, final)

    await fetch(Wanted(server=client, ref=REF, part=part, begun=False, accept=accept))
    await client.close()


def _forget_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5")


def _peak_bytes() -> int:
    status = Path("/proc/self/status").read_text()
    return 1024 * int(status.split("VmHWM:")[1].split()[0])


async def _serve(video: Path) -> None:
    """Serve the file as ComfyUI does; the first line says where."""

    async def view(_: web.Request) -> web.FileResponse:
        return web.FileResponse(video)

    app = web.Application()
    app.router.add_get("/view", view)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    sys.stdout.write(f"http://127.0.0.1:{runner.addresses[0][1]}\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


BENCHMARKS = (
    Benchmark(
        name="video",
        what="download of a 500 MB video with sha256, fsync and its container walked through",
        measure=_measure,
        targets=(
            Target(figure="ours / bare read", at_least=0.5),
            Target(figure="ours / promised work alone", at_least=0.83),  # its time x 1.2
            Target(figure="loop held at most, ms", at_most=5),
            Target(figure="loop held, ours / promised work alone", at_most=1.2),
            Target(figure="memory growth, MB", at_most=20),
        ),
    ),
)

if __name__ == "__main__":
    asyncio.run(_serve(Path(sys.argv[1])))
