"""The floor under the daemon's rate: its HTTP calls and durable appends, and nothing else.

The calls are those of ComfyUI's own example script (``websockets_api_example.py``): post, listen
until the prompt has ended, read its history, fetch its file. No decisions, no checks, no index, no
logs: what is left when all that makes the daemon one is taken away. Files are made durable as the
daemon's are: written, synced, renamed, folder synced.
"""

import asyncio
import contextlib
import os
import queue
import threading
import time
import uuid
from pathlib import Path

import aiohttp
import msgspec

from daemon.collect.part import part_of, write_whole
from daemon.collect.proof import place, prove
from daemon.comfy.connection import READ_BUFFER_BYTES
from daemon.durable import sync_folder

RECORD_BYTES = 1650  # as the daemon's lines are here
CLIENT_ID = "straight-line"


class Journal(threading.Thread):
    """Appends with group commit: what arrives together shares one write and one sync."""

    def __init__(self, path: Path) -> None:
        super().__init__(daemon=True)
        self._file = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
        self._inbox: queue.SimpleQueue[tuple[bytes, asyncio.Future[None]]] = queue.SimpleQueue()
        self._loop = asyncio.get_running_loop()

    async def append(self, record: bytes) -> None:
        """Return when *record* is on disk."""
        done: asyncio.Future[None] = self._loop.create_future()
        self._inbox.put((record, done))
        await done

    def run(self) -> None:
        """Write for ever."""
        while True:
            group = [self._inbox.get()]
            while not self._inbox.empty():
                group.append(self._inbox.get_nowait())
            os.write(self._file, b"".join(record for record, _ in group))
            os.fdatasync(self._file)
            self._loop.call_soon_threadsafe(_resolve, [done for _, done in group])


def _resolve(futures: list[asyncio.Future[None]]) -> None:
    for future in futures:
        future.set_result(None)


class StraightLine:
    """Brings rows through one server, so many at a time."""

    def __init__(self, url: str, folder: Path, *, appends: int, proves: bool = False) -> None:
        """*appends*: durable changes a row, as many as the daemon makes.

        *proves*: each file is hashed and decoded before it gets its name, as the daemon promises.
        """
        self._url = url
        self._folder = folder
        self._appends = appends
        self._keep = _keep_proven if proves else _keep

    async def rate(self, rows: int, in_flight: int) -> float:
        """Return rows per second."""
        self._journal = Journal(self._folder / "journal")
        self._journal.start()
        left = iter(range(rows))
        self._ended: dict[str, asyncio.Future[None]] = {}
        anew = aiohttp.TCPConnector(limit=0, force_close=True)
        async with (
            aiohttp.ClientSession(read_bufsize=READ_BUFFER_BYTES) as reading,
            aiohttp.ClientSession(connector=anew) as changing,
        ):
            async with reading.ws_connect(self._url + f"/ws?clientId={CLIENT_ID}") as websocket:
                listening = asyncio.create_task(self._listen(websocket))
                began = time.perf_counter()
                workers = (self._work(left, reading, changing) for _ in range(in_flight))
                await asyncio.gather(*workers)
                seconds = time.perf_counter() - began
                listening.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await listening
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
        self, left: "iter", reading: aiohttp.ClientSession, changing: aiohttp.ClientSession
    ) -> None:
        record = b"x" * RECORD_BYTES
        for number in left:
            before = self._appends // 2
            for _ in range(before):
                await self._journal.append(record)
            prompt_id = str(uuid.uuid4())
            async with changing.post(self._url + "/prompt", data=_prompt(prompt_id)) as answer:
                await answer.read()
            await self._end_of(prompt_id)
            del self._ended[prompt_id]
            async with reading.get(f"{self._url}/history/{prompt_id}") as answer:
                file = msgspec.json.decode(await answer.read())[prompt_id]["outputs"]["40"]
            async with reading.get(self._url + "/view", params=file["images"][0]) as answer:
                content = await answer.read()
            await asyncio.to_thread(self._keep, self._folder / f"{number}.png", content)
            for _ in range(self._appends - before):
                await self._journal.append(record)


def _prompt(prompt_id: str) -> bytes:
    graph = {
        "10": {"class_type": "EmptyImage", "inputs": {"width": 8, "height": 8}},
        "40": {"class_type": "SaveImage", "inputs": {"filename_prefix": f"x/{prompt_id}/40"}},
    }
    extra = {"rowkeeper": {"task_id": prompt_id, "attempt": 1}}
    request = {"prompt": graph, "prompt_id": prompt_id, "client_id": CLIENT_ID, "extra_data": extra}
    return msgspec.json.encode(request)


def _keep(path: Path, content: bytes) -> None:
    part = path.with_name(path.name + ".part")
    with part.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    part.rename(path)
    sync_folder(path.parent)


def _keep_proven(path: Path, content: bytes) -> None:
    part = part_of(path)
    write_whole(part, [content])
    prove(part)
    place(part, path)
