"""Downloading a large video: ours, to the proven file, against reading it and throwing it away."""

import asyncio
import hashlib
import os
import struct
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import aiohttp
from aiohttp import web

from daemon.clock import SystemClock
from daemon.collect.download import Wanted, fetch
from daemon.collect.proof import place, prove
from daemon.comfy.client import ComfyClient
from daemon.comfy.server import FileRef
from daemon.running import loop_first
from tests.bench.benchmark import Benchmark, Size, Target
from tests.bench.memory import resident_bytes
from tests.bench.own_process import own_process
from tests.fakes.loop_lag import LoopLag

REF = FileRef(node="40", filename="video.mp4", subfolder="rowkeeper/vid_1-1", type="output")
_MEGABYTE = 1 << 20


def _measure(folder: Path, size: Size) -> Mapping[str, float]:
    video = folder / "served.mp4"
    megabytes = size.of(500, 8)
    _write_video(video, megabytes)
    with own_process("tests.bench.video", str(video)) as url:
        bare = asyncio.run(_bare(url))
        ours, lag_seconds, growth = asyncio.run(_ours(url, folder / "outputs" / "video.mp4"))
    disk = _kept(folder / "kept", megabytes)
    return {
        "bare read, MB/s": megabytes / bare,
        "ours, MB/s": megabytes / ours,
        "disk alone (written, hashed, synced), MB/s": megabytes / disk,
        "ours / bare read": bare / ours,
        "ours / the slower of bare read and disk": max(bare, disk) / ours,
        "loop held at most, ms": 1000 * lag_seconds,
        "memory growth, MB": max(0.0, growth) / _MEGABYTE,
    }


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


async def _bare(url: str) -> float:
    """Return the seconds that aiohttp takes to read the file, its bytes thrown away."""
    began = time.perf_counter()
    async with aiohttp.ClientSession() as session, session.get(url + "/view") as answer:
        async for _ in answer.content.iter_any():
            pass
    return time.perf_counter() - began


def _kept(path: Path, megabytes: int) -> float:
    """Return the seconds that bytes at hand take to be written, hashed and synced."""
    piece = bytes(range(256)) * (_MEGABYTE // 256)
    digest = hashlib.sha256()
    began = time.perf_counter()
    with path.open("wb", buffering=0) as file:
        for _ in range(megabytes):
            file.write(piece)
            digest.update(piece)
        os.fsync(file.fileno())
    return time.perf_counter() - began


async def _ours(url: str, final: Path) -> tuple[float, float, float]:
    """Return seconds, the longest the loop was held, and by how many bytes the memory grew."""
    client = ComfyClient("gpu", url, clock=SystemClock())
    part = final.with_name(f"{final.name}.part")

    def accept(whole: Path) -> None:
        prove(whole)
        place(whole, final)

    before = resident_bytes()
    _forget_peak()
    wanted = Wanted(server=client, ref=REF, part=part, begun=False, accept=accept)
    with loop_first():
        async with LoopLag() as lag:
            began = time.perf_counter()
            await fetch(wanted)
            seconds = time.perf_counter() - began
    await client.close()
    return seconds, lag.worst_seconds, _peak_bytes() - before


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
            # what is possible where the disk is slower than the wire: that floor x 1.2
            Target(figure="ours / the slower of bare read and disk", at_least=0.83),
            Target(figure="loop held at most, ms", at_most=5),
            Target(figure="memory growth, MB", at_most=20),
        ),
    ),
)

if __name__ == "__main__":
    asyncio.run(_serve(Path(sys.argv[1])))
