"""What the ledger is measured against: the bare steps on the same disk, and what others would use."""

import asyncio
import os
import sqlite3
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import orjson


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
    """Append and fdatasync in a thread, awaited: what a durable change costs at the very least."""

    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        self._writer = ThreadPoolExecutor(1)

    async def append(self, line: bytes) -> None:
        await asyncio.get_running_loop().run_in_executor(self._writer, self._append, line)

    def _append(self, line: bytes) -> None:
        os.write(self._fd, line)
        os.fdatasync(self._fd)

    def close(self) -> None:
        self._writer.shutdown()
        os.close(self._fd)


class Sqlite:
    """SQLite as one would configure it for the same promise: WAL, synchronous=FULL."""

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None)
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
