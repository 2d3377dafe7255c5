"""What is kept for how long: copies of inputs, results; each a plain function of *now*.

A setting of 0 days keeps for ever. All of it may be killed at any instant and done again.
"""

import asyncio
import contextlib
import math
import os
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path

import msgspec
import structlog

from config.settings import Settings
from daemon.tables.overwritten import REMEMBERED_FOR
from daemon.words.recorded import recorded
from ledger.errors import Conflict
from ledger.jsondir.freeing import freed_bit_by_bit
from ledger.ledger import Ledger
from ledger.slices import in_slices
from ledger.status import OPEN_STAGES, Stage
from ledger.task import OutputFile, Task
from ledger.timestamps import from_timestamp, to_timestamp

log = structlog.get_logger()

#: Records looked at in one go; more would hold the loop for too long.
PORTION = 200
#: A file that is about to go bears it behind its name.
_LEAVING = ".leaving"


def archive_after_days(settings: Settings) -> int:
    """Return when finished rows may leave the state: not before their results have gone.

    Nor while a start looks for those of tables: unknown by then, they would run a second time.
    """
    days = REMEMBERED_FOR.days if settings.tables else 0
    return max(settings.ledger.archive_after_days, settings.outputs.retention_days, days)


async def forget_inputs(ledger: Ledger, root: Path, now: datetime, retention_days: int) -> int:
    """Remove input copies that no task has needed for *retention_days*; returns how many.

    A task needs its inputs while it is open, and after its end for a retry. When a file was
    needed last is kept as its modification time, so that it stays known when the tasks are
    archived; taking a picture in sets it, too.
    """
    if not retention_days:
        return 0
    needed: dict[str, float] = {}
    async for task in _all_tasks(ledger):
        until = from_timestamp(task.finished_at) if task.finished_at else now
        for file in task.inputs.values():
            needed[file.sha256] = max(needed.get(file.sha256, 0.0), until.timestamp())
    limit = (now - timedelta(days=retention_days)).timestamp()
    removed = await asyncio.to_thread(_forget_contents, root / "sha256", needed, limit)
    if removed:
        log.info("inputs.forgotten", files=removed, older_than_days=retention_days)
    return removed


def _forget_contents(root: Path, needed: Mapping[str, float], limit: float) -> int:
    removed = 0
    for folder in sorted(root.iterdir()) if root.is_dir() else ():
        for path in list(folder.iterdir()):
            if path.name.endswith(_LEAVING):  # a kill came in between
                removed += _leave(path, needed, limit)
                continue
            last = _needed_until(path, path.name, needed)
            if last is not None and last < limit:
                leaving = path.with_name(path.name + _LEAVING)
                path.rename(leaving)
                removed += _leave(leaving, needed, limit)
        with contextlib.suppress(OSError):  # not empty
            folder.rmdir()
    return removed


def _leave(leaving: Path, needed: Mapping[str, float], limit: float) -> bool:
    """Remove the file, or give it its name back when it was wanted again in the last moment.

    Whoever takes the same picture in meanwhile finds no file of its name and stores it anew.
    """
    path = leaving.with_name(leaving.name.removesuffix(_LEAVING))
    last = _needed_until(leaving, path.name, needed)
    if last is None or last < limit or path.exists():
        leaving.unlink(missing_ok=True)
        return True
    leaving.rename(path)
    return False


def _needed_until(path: Path, sha256: str, needed: Mapping[str, float]) -> float | None:
    """Return when the file was needed last, and keep that with the file; None when it went."""
    try:
        written = path.stat().st_mtime
        last = max(written, needed.get(sha256, 0.0))
        if last > written:
            os.utime(path, (last, last))
    except FileNotFoundError:
        return None
    return last


async def forget_outputs(
    ledger: Ledger,
    absolute: Callable[[str], Path],
    root: Path,
    now: datetime,
    retention_days: int,
) -> int:
    """Remove results of tasks done for *retention_days*; returns how many files went.

    The record stays done and keeps name and sha256; ``removed_at``, written first, says that the
    file is gone. Results that an open task of the row or a table still needs stay. A file that
    somebody changed since is his now and stays.
    """
    if not retention_days:
        return 0
    limit = to_timestamp(now - timedelta(days=retention_days))
    open_rows: set[str] = set()
    rows = (task.row_id for task in ledger.each_in_stage(*OPEN_STAGES))
    await in_slices(map(open_rows.add, rows))
    removed = 0
    async for task in _all_tasks(ledger):
        if task.row_id in open_rows or not _is_over(task, limit):
            continue
        if await _note_removal(ledger, task, now, retention_days):
            removed += await asyncio.to_thread(_remove_files, task.outputs, absolute, root)
    if removed:
        log.info("outputs.forgotten", files=removed, older_than_days=retention_days)
    return removed


async def _note_removal(ledger: Ledger, task: Task, now: datetime, retention_days: int) -> bool:
    """Write down that the task's files go; False when it changed: the next sweep sees it again."""
    if all(output.removed_at is not None for output in task.outputs):
        return True
    gone = [msgspec.structs.replace(each, removed_at=_at(each, now)) for each in task.outputs]
    try:
        await ledger.commit(
            task.changed(at=to_timestamp(now), outputs=gone),
            op="task.outputs_removed",
            actor="sweep:retention",
            reason=recorded("archived", days=retention_days),
        )
    except Conflict:
        return False
    return True


def _is_over(task: Task, limit: str) -> bool:
    done = task.stage is Stage.DONE and task.finished_at is not None
    return done and task.publish.is_settled and (task.finished_at or "") < limit


def _at(output: OutputFile, now: datetime) -> str:
    return output.removed_at or to_timestamp(now)


def _remove_files(
    outputs: Sequence[OutputFile], absolute: Callable[[str], Path], root: Path
) -> int:
    removed = 0
    for output in outputs:
        path = absolute(output.path or "")
        if not _is_ours(path, output):
            continue
        with freed_bit_by_bit(path):
            path.unlink(missing_ok=True)
        removed += 1
        _remove_empty_folders(path.parent, root)
    return removed


def _is_ours(path: Path, output: OutputFile) -> bool:
    """Say whether the file is the one that was recorded, not one that took its name since."""
    if not path.is_file():
        return False
    found = path.stat()
    gone_at = from_timestamp(output.removed_at).timestamp() if output.removed_at else math.inf
    return found.st_size == output.size_bytes and found.st_mtime <= gone_at


def _remove_empty_folders(folder: Path, root: Path) -> None:
    """Remove *folder* and its parents below *root* as far as they are empty."""
    while folder != root and folder.is_relative_to(root):
        try:
            folder.rmdir()
        except OSError:
            return
        folder = folder.parent


async def _all_tasks(ledger: Ledger) -> AsyncIterator[Task]:
    for number, task in enumerate(ledger.tasks(), start=1):
        yield task
        if number % PORTION == 0:
            await asyncio.sleep(0)
