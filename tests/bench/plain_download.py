"""The floor under a large download: the promised work of one, and nothing else.

The bytes are hashed and written while the rest arrives, synced, proven and given their name. Here it
is as straight as Python says it: two threads take what aiohttp reads, and the disk begins early.
Nothing can be resumed, no length is checked, no failure is told from another, nobody cancels.
"""

import asyncio
import hashlib
import os
import threading
from collections.abc import Callable
from pathlib import Path
from queue import SimpleQueue

import aiohttp

from daemon.collect.download import GATHERED_BYTES
from daemon.collect.part import WRITE_BACK_BYTES, part_of
from daemon.collect.proof import place, prove
from daemon.comfy.connection import READ_BUFFER_BYTES


async def download(url: str, final: Path) -> str:
    """Fetch what is at *url* to *final*, durably, and return its sha256; only fit to be measured."""
    part = part_of(final)
    final.parent.mkdir(parents=True)
    digest, file = hashlib.sha256(), _File(part)
    workers = _Worker(digest.update), _Worker(file.write)
    session = aiohttp.ClientSession(read_bufsize=READ_BUFFER_BYTES)
    async with session, session.get(url) as answer:
        gathered: list[bytes] = []
        async for chunk, _ in answer.content.iter_chunks():
            gathered.append(chunk)
            if sum(map(len, gathered)) >= GATHERED_BYTES:
                for worker in workers:
                    await worker.take(gathered)
                gathered = []
    for worker in workers:
        await worker.take(gathered)
        await worker.end()
    await asyncio.to_thread(_keep, file, part, final)
    return digest.hexdigest()


class _Worker(threading.Thread):
    """Does one thing with what it is given; two gatherings at most wait for it."""

    def __init__(self, work: Callable[[bytes], object]) -> None:
        super().__init__()
        self._work = work
        self._loop = asyncio.get_running_loop()
        self._given: SimpleQueue[list[bytes] | None] = SimpleQueue()
        self._room = asyncio.Semaphore(2)
        self.start()

    async def take(self, chunks: list[bytes]) -> None:
        await self._room.acquire()
        self._given.put(chunks)

    def run(self) -> None:
        while (chunks := self._given.get()) is not None:
            for chunk in chunks:
                self._work(chunk)
            self._loop.call_soon_threadsafe(self._room.release)

    async def end(self) -> None:
        self._given.put(None)
        await asyncio.to_thread(self.join)


class _File:
    """A file that the disk begins with while it grows."""

    def __init__(self, path: Path) -> None:
        self.fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
        self._size_bytes = self._begun_bytes = 0

    def write(self, chunk: bytes) -> None:
        self._size_bytes += os.write(self.fd, chunk)
        new_bytes = self._size_bytes - self._begun_bytes
        if new_bytes >= WRITE_BACK_BYTES:
            os.posix_fadvise(self.fd, self._begun_bytes, new_bytes, os.POSIX_FADV_DONTNEED)
            self._begun_bytes = self._size_bytes


def _keep(file: _File, part: Path, final: Path) -> None:
    os.fsync(file.fd)
    os.close(file.fd)
    prove(part)
    place(part, final, noted=False)
