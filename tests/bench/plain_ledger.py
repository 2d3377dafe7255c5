"""The floor under a commit: the promised work of one, and nothing else.

Contract §5 and the ledger's promises ask for this of each change: its version, its move and whose
it is are checked against the newest record, the whole record becomes a line with a checksum, all
who wait share one write and one sync in a thread, the next snapshot knows of it, what is durable is
shown, and each goes on. Here it is as straight as Python says it: one kind of record in one dict,
no families, counts or queues, nobody told, no snapshot written, no archive, nothing that a failed
write would need.
"""

import asyncio
import os
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeAlias

from isal.isal_zlib import crc32

from ledger.errors import Conflict
from ledger.shelf import encode_task
from ledger.status import MOVES
from ledger.task import Task
from tests.bench.ledger_records import NOW

Waiting: TypeAlias = tuple[Task, bytes, "asyncio.Future[None]"]


class PlainLedger:
    """Commits tasks durably; only fit to be measured."""

    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        self._thread = ThreadPoolExecutor(1)
        self._newest: dict[str, Task] = {}
        self.shown: dict[str, Task] = {}
        self._gathered: list[Waiting] = []
        self._arrived: deque[list[Waiting]] = deque()
        self._changes: dict[str, bytes] = {}  # for the next snapshot
        self._seq = 0

    async def commit(self, task: Task) -> None:
        known = self._newest.get(task.task_id)
        if known is not None:
            moves = task.stage is known.stage or task.stage in MOVES[known.stage]
            same = task.row_id == known.row_id and task.workflow_type == known.workflow_type
            if task.version != known.version + 1 or not (moves and same):
                raise Conflict(task.task_id)
        self._newest[task.task_id] = task
        loop = asyncio.get_running_loop()
        if not self._gathered:
            loop.call_soon(self._hand_over, loop)
        done: asyncio.Future[None] = loop.create_future()
        self._gathered.append((task, encode_task(task), done))
        await done

    def _hand_over(self, loop: asyncio.AbstractEventLoop) -> None:
        gathered, self._gathered = self._gathered, []
        self._arrived.append(gathered)
        self._thread.submit(self._write, loop)

    def _write(self, loop: asyncio.AbstractEventLoop) -> None:
        gathered: list[Waiting] = []
        while self._arrived:
            gathered += self._arrived.popleft()
        if not gathered:
            return  # written with those before
        lines = []
        for _, encoded, _ in gathered:
            self._seq += 1
            body = _LINE % (self._seq, NOW.encode(), self._seq, encoded)
            lines.append(b'%b,"crc":"%08x"}\n' % (body, crc32(body)))
        os.write(self._fd, b"".join(lines))
        os.fdatasync(self._fd)
        loop.call_soon_threadsafe(self._show, gathered)
        for task, encoded, _ in gathered:
            self._changes[task.task_id] = encoded

    def _show(self, gathered: list[Waiting]) -> None:
        for task, _, done in gathered:
            self.shown[task.task_id] = task
            if not done.done():  # else whoever committed it was cancelled
                done.set_result(None)

    def close(self) -> None:
        self._thread.shutdown()
        os.close(self._fd)


_LINE = (
    b'{"seq":%d,"at":"%b","actor":"daemon","op":"task.published","tx":%d,"n":1,"task":%b,'
    b'"reason":null,"evidence":null'
)
