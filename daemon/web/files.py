"""The results themselves: a task's output files, with ranges, and never anything else."""

import os
from pathlib import Path
from urllib.parse import quote

from aiohttp import web

from daemon.web.decoding import Nothing
from daemon.web.endpoint import Call
from daemon.web.refusal import Refusal
from ledger.errors import UnknownRecord

#: What a browser may show; everything else is offered for saving.
SHOWN = {
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".webp": "image/webp",
    ".gif": "image/gif",
    ".mp4": "video/mp4",
    ".webm": "video/webm",
    ".mov": "video/quicktime",
    ".mkv": "video/x-matroska",
    ".wav": "audio/wav",
    ".mp3": "audio/mpeg",
    ".flac": "audio/flac",
}


async def output(call: Call[Nothing, Nothing]) -> web.StreamResponse:
    """Answer the task's output file *index* (0 = the first), whole or a range of it."""
    task_id, index = call.id("task_id"), int(call.id("index"))
    ledger = call.desk.ledger
    task = ledger.index.find_task(task_id) or await ledger.find_archived(task_id)
    if task is None:
        raise UnknownRecord("task", task_id)
    if index >= len(task.outputs):
        raise Refusal("unknown_output", 404, id=f"{task_id}/{index}")
    named = task.outputs[index]
    if named.path is None or named.sha256 is None:
        raise Refusal("output_not_ready", 404, id=f"{task_id}/{index}")
    path = inside(call.desk.settings.outputs.path, call.desk.output_path(named.path))
    if path is None:
        raise Refusal("output_gone", 404, path=named.path)
    return web.FileResponse(path, headers=headers_for(path))


def inside(folder: Path, path: Path) -> Path | None:
    """Return where *path* really lies, None when that is no file, or outside *folder*."""
    try:
        actual = path.resolve(strict=True)
        home = folder.resolve(strict=True)
    except (OSError, RuntimeError):
        return None
    return actual if actual.is_relative_to(home) and actual.is_file() else None


def headers_for(path: Path) -> dict[str, str]:
    """Return what a browser must know of the file."""
    kind = SHOWN.get(path.suffix.lower())
    name = quote(os.fsencode(path.name))
    return {
        "Content-Type": kind or "application/octet-stream",
        "Content-Disposition": f"{'inline' if kind else 'attachment'}; filename*=UTF-8''{name}",
        "Cache-Control": "private, max-age=3600",
    }
