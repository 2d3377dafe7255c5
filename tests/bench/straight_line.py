"""Straight lines: what a row costs at the least, with less and with more of what is promised.

All of them make the HTTP calls that the daemon makes for a row, in the way it makes them: the post
on a connection of its own (see ``daemon.comfy.connection``: a kept one that died unnoticed would
leave open whether the prompt arrived), one websocket for the news that a prompt has ended, one
reading of its history, one of its file, both on kept connections. It is also what ComfyUI's own
example does (``websockets_api_example.py``). All make a file durable as the daemon does: written,
synced, renamed, folder synced. None decides anything, watches a timer, fills a template, checks
a graph, follows a change, writes a log. Each runs on Python as it comes: the loop, its threads, the
garbage collector.

They differ in what they keep (``Rows``) and in what they do with a file (``Keep``).
"""

import asyncio
import contextlib
import os
import queue
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol, TypeAlias

import aiohttp
import msgspec

from daemon.clock import SystemClock
from daemon.collect.part import part_of, write_whole
from daemon.collect.proof import place, prove
from daemon.comfy.connection import READ_BUFFER_BYTES
from daemon.durable import sync_folder
from ledger.jsondir.store import JsonDirBackend
from ledger.ledger import Ledger
from ledger.status import Stage
from ledger.task import OutputFile
from ledger.timestamps import to_timestamp
from tests.bench.ledger_records import waiting_task
from tests.fakes.records import batch_record

RECORD_BYTES = 1660  # of a line: the mean of the daemon's four of such a row
CLIENT_ID = "straight-line"

#: Makes the bytes a durable file and returns its sha256, if that is wanted.
Keep: TypeAlias = Callable[[Path, bytes], str]


class Rows(Protocol):
    """Where the steps of rows are kept; each step returns when it is on disk."""

    async def open(self, rows: int) -> None:
        """Take in so many rows, before the clock runs."""
        ...

    async def step(self, number: int, to: Stage, **fields: object) -> None:
        """Keep that a row has come to the stage *to*."""
        ...

    async def close(self) -> None:
        """Let go of the files."""
        ...


class BareLines:
    """Appends a line of the daemon's length a step, and knows nothing else.

    With group commit: what arrives together shares one write and one sync.
    """

    def __init__(self, folder: Path) -> None:
        self._file = os.open(folder / "lines", os.O_CREAT | os.O_WRONLY | os.O_APPEND)
        self._inbox: queue.SimpleQueue[asyncio.Future[None]] = queue.SimpleQueue()

    async def open(self, rows: int) -> None:
        """Begin to write."""
        self._loop = asyncio.get_running_loop()
        threading.Thread(target=self._write, daemon=True).start()

    async def step(self, number: int, to: Stage, **fields: object) -> None:
        """Append a line."""
        done: asyncio.Future[None] = self._loop.create_future()
        self._inbox.put(done)
        await done

    async def close(self) -> None:
        """Leave the thread waiting: the process ends soon."""

    def _write(self) -> None:
        line = b"x" * RECORD_BYTES
        while True:
            group = [self._inbox.get()]
            while not self._inbox.empty():
                group.append(self._inbox.get_nowait())
            os.write(self._file, line * len(group))
            os.fdatasync(self._file)
            self._loop.call_soon_threadsafe(_resolve, group)


def _resolve(futures: list[asyncio.Future[None]]) -> None:
    for future in futures:
        future.set_result(None)


class RealLedger:
    """Commits a whole record a step to a ledger of ours, with all that this promises.

    Checked against version and legal moves, encoded with its checksum, found by every index
    afterwards, told to whoever listens (nobody does). What of it could be cheaper is measured by
    the ledger's own benchmarks.
    """

    def __init__(self, folder: Path) -> None:
        self._ledger = Ledger(JsonDirBackend(folder / "ledger"))
        self._clock = SystemClock()

    async def open(self, rows: int) -> None:
        """Accept the rows."""
        await self._ledger.open()
        self._tasks = [waiting_task(number) for number in range(rows)]
        await self._ledger.commit(batch_record(), *self._tasks, op="rows.accepted")

    async def step(self, number: int, to: Stage, **fields: object) -> None:
        """Commit the task's next version."""
        at = to_timestamp(self._clock.now())
        self._tasks[number] = task = self._tasks[number].moved(to, at=at, **fields)
        await self._ledger.commit(task, op=f"task.{to}")

    async def close(self) -> None:
        """Write the snapshot."""
        await self._ledger.close()


class StraightLine:
    """Brings rows through one server, so many at a time."""

    def __init__(self, url: str, folder: Path, rows: Rows, keep: Keep) -> None:
        self._url = url
        self._folder = folder
        self._rows = rows
        self._keep = keep
        self._ended: dict[str, asyncio.Future[None]] = {}

    async def rate(self, rows: int, in_flight: int) -> float:
        """Return rows per second."""
        await self._rows.open(rows)
        left = iter(range(rows))
        anew = aiohttp.TCPConnector(limit=0, force_close=True)
        async with (
            aiohttp.ClientSession(read_bufsize=READ_BUFFER_BYTES) as reading,
            aiohttp.ClientSession(connector=anew) as changing,
            reading.ws_connect(self._url + f"/ws?clientId={CLIENT_ID}") as websocket,
        ):
            listening = asyncio.create_task(self._listen(websocket))
            began = time.perf_counter()
            await asyncio.gather(*(self._work(left, reading, changing) for _ in range(in_flight)))
            seconds = time.perf_counter() - began
            listening.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await listening
        await self._rows.close()
        return rows / seconds

    async def _listen(self, websocket: aiohttp.ClientWebSocketResponse) -> None:
        async for message in websocket:
            frame = msgspec.json.decode(message.data)
            if frame["type"] == "executing" and frame["data"]["node"] is None:
                self._end_of(frame["data"]["prompt_id"]).set_result(None)

    def _end_of(self, prompt_id: str) -> asyncio.Future[None]:
        """Return what is done once the prompt has ended; the news may come before its answer."""
        if prompt_id not in self._ended:
            self._ended[prompt_id] = asyncio.get_running_loop().create_future()
        return self._ended[prompt_id]

    async def _work(
        self, left: Iterator[int], reading: aiohttp.ClientSession, changing: aiohttp.ClientSession
    ) -> None:
        for number in left:
            prompt_id = str(uuid.uuid4())
            begun = {"comfyui_task_id": prompt_id, "server": "gpu-0", "attempt": 1}
            await self._rows.step(number, Stage.SUBMITTING, **begun)
            async with changing.post(self._url + "/prompt", data=_prompt(prompt_id)) as answer:
                await answer.read()
            await self._rows.step(number, Stage.QUEUED)
            await self._end_of(prompt_id)
            del self._ended[prompt_id]
            async with reading.get(f"{self._url}/history/{prompt_id}") as answer:
                told = msgspec.json.decode(await answer.read())
            file = told[prompt_id]["outputs"]["40"]["images"][0]
            path = self._folder / f"{number}.png"
            output = OutputFile(node="40", path=str(path), **file)
            await self._rows.step(number, Stage.COLLECTING, outputs=(output,))
            async with reading.get(self._url + "/view", params=file) as answer:
                content = await answer.read()
            sha256 = await asyncio.to_thread(self._keep, path, content)
            output = msgspec.structs.replace(output, sha256=sha256, size_bytes=len(content))
            done = {"outputs": (output,), "output_files": (str(path),)}
            await self._rows.step(number, Stage.DONE, **done)


def _prompt(prompt_id: str) -> bytes:
    graph = {
        "10": {"class_type": "EmptyImage", "inputs": {"width": 8, "height": 8}},
        "40": {"class_type": "SaveImage", "inputs": {"filename_prefix": f"x/{prompt_id}/40"}},
    }
    extra = {"rowkeeper": {"task_id": prompt_id, "attempt": 1}}
    request = {"prompt": graph, "prompt_id": prompt_id, "client_id": CLIENT_ID, "extra_data": extra}
    return msgspec.json.encode(request)


def keep(path: Path, content: bytes) -> str:
    """Make a file durable."""
    part = part_of(path)
    with part.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    part.rename(path)
    sync_folder(path.parent)
    return ""


def keep_proven(path: Path, content: bytes) -> str:
    """Make a file durable, hashed and decoded before it gets its name, as the daemon promises."""
    part = part_of(path)
    sha256 = write_whole(part, content)
    prove(part, content)
    place(part, path, noted=False)
    return sha256
