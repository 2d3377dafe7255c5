"""What the ledger is measured against: the bare steps on the same disk, and what others would use."""

import asyncio
import os
import sqlite3
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import orjson

from ledger.shelf import encode_task
from ledger.task import Task


def rate(step: Callable[[], object], *, seconds: float, at_least: int = 3) -> float:
    """Return how often a second *step* is done."""
    done, began = 0, time.perf_counter()
    while done < at_least or time.perf_counter() - began < seconds:
        step()
        done += 1
    return done / (time.perf_counter() - began)


async def awaited_rate(step: Callable[[], Awaitable[object]], *, seconds: float) -> float:
    """Return the same for a step that is awaited."""
    done, began = 0, time.perf_counter()
    while time.perf_counter() - began < seconds:
        await step()
        done += 1
    return done / (time.perf_counter() - began)


class BareSteps:
    """Append and fdatasync in a thread, awaited: what one durable change costs at the least."""

    def __init__(self, path: Path) -> None:
        self._lines = Lines(path)
        self._writer = ThreadPoolExecutor(1)

    async def append(self, line: bytes) -> None:
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._writer, self._lines.append, [("", line)])

    def close(self) -> None:
        self._writer.shutdown()
        self._lines.close()


class Sqlite:
    """SQLite as one would configure it for the same promise: WAL, synchronous=FULL."""

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._connection.execute("PRAGMA journal_mode=WAL")
        self._connection.execute("PRAGMA synchronous=FULL")
        self._connection.execute("CREATE TABLE tasks (id TEXT PRIMARY KEY, record BLOB)")

    def update(self, records: Iterable[tuple[str, bytes]]) -> None:
        """Write these records in one transaction."""
        self._connection.execute("BEGIN")
        self._connection.executemany("INSERT OR REPLACE INTO tasks VALUES (?, ?)", records)
        self._connection.execute("COMMIT")

    def close(self) -> None:
        self._connection.close()


class AwaitedGroups:
    """Group commit with the bare steps: encode, hand over, write in a thread, wake.

    What a change costs when nothing is checked, no state is kept and nobody is told: with
    ``Lines`` the floor of any such ledger, with ``Sqlite.update`` what SQLite is in its
    place.
    """

    def __init__(self, write: Callable[[list[tuple[str, bytes]]], object]) -> None:
        self._write = write
        self._thread = ThreadPoolExecutor(1)
        self._gathered: list[tuple[str, bytes, asyncio.Future[None]]] = []

    async def commit(self, task: Task) -> None:
        loop = asyncio.get_running_loop()
        done: asyncio.Future[None] = loop.create_future()
        if not self._gathered:
            loop.call_soon(self._hand_over, loop)
        self._gathered.append((task.task_id, encode_task(task), done))
        await done

    def _hand_over(self, loop: asyncio.AbstractEventLoop) -> None:
        gathered, self._gathered = self._gathered, []
        self._thread.submit(self._work, loop, gathered)

    def _work(self, loop: asyncio.AbstractEventLoop, gathered: list) -> None:
        error: Exception | None = None
        try:
            self._write([(task_id, encoded) for task_id, encoded, _ in gathered])
        except Exception as failure:  # noqa: BLE001 - told to those who wait
            error = failure
        loop.call_soon_threadsafe(_wake, [done for _, _, done in gathered], error)

    def close(self) -> None:
        self._thread.shutdown()


def _wake(waiting: Sequence["asyncio.Future[None]"], error: Exception | None) -> None:
    for done in waiting:
        if error is None:
            done.set_result(None)
        else:
            done.set_exception(error)


class Lines:
    """A file of lines, each group appended with one write and one fdatasync."""

    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)

    def append(self, records: Iterable[tuple[str, bytes]]) -> None:
        os.write(self._fd, b"".join(encoded + b"\n" for _, encoded in records))
        os.fdatasync(self._fd)

    def close(self) -> None:
        os.close(self._fd)


class WholeFile:
    """What a typical script does: all tasks in one JSON file, written anew for each change."""

    def __init__(self, path: Path, tasks: Sequence[bytes]) -> None:
        self._path = path
        self._tasks = {str(n): orjson.loads(task) for n, task in enumerate(tasks)}

    def update(self) -> None:
        """Change one task and write the file, durably."""
        self._tasks["0"]["version"] += 1
        aside = self._path.with_suffix(".tmp")
        with aside.open("wb") as file:
            file.write(orjson.dumps(self._tasks))
            file.flush()
            os.fsync(file.fileno())
        aside.replace(self._path)
