"""A task's own files, with ranges: its results and its input pictures, and nothing else."""

import asyncio
import os
from pathlib import Path, PurePath
from urllib.parse import quote

from aiohttp import web

from daemon.web.decoding import Nothing
from daemon.web.endpoint import Call
from daemon.web.refusal import Refusal
from ledger.task import InputFile, OutputFile, Task

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
    _, path = await found_output(call)
    return web.FileResponse(path, headers=headers_for(path.name))


async def input_picture(call: Call[Nothing, Nothing]) -> web.StreamResponse:
    """Answer the picture of the task's input *column*, whole or a range of it."""
    named, path = await found_input(call)
    return web.FileResponse(path, headers=headers_for(named.name))


async def found_output(call: Call[Nothing, Nothing]) -> tuple[OutputFile, Path]:
    """Return the output that the path names and where it lies; raises Refusal, UnknownRecord."""
    task, index = await call.desk.ledger.task_or_archived(call.id("task_id")), int(call.id("index"))
    if index >= len(task.outputs):
        raise Refusal("unknown_output", 404, id=f"{task.task_id}/{index}")
    named = task.outputs[index]
    if named.path is None or named.sha256 is None:
        raise Refusal("output_not_ready", 404, id=f"{task.task_id}/{index}")
    place = call.desk.output_path(named.path)
    path = await asyncio.to_thread(inside, call.desk.settings.outputs.path, place)
    if path is None:
        raise Refusal("output_gone", 404, path=named.path)
    return named, path


async def found_input(call: Call[Nothing, Nothing]) -> tuple[InputFile, Path]:
    """Return the picture of the column and where it lies; raises Refusal, UnknownRecord."""
    task, column = await call.desk.ledger.task_or_archived(call.id("task_id")), call.id("column")
    named = task.inputs.get(column)
    if named is None:
        raise Refusal("unknown_input", 404, id=f"{task.task_id}/{column}")
    path = await asyncio.to_thread(_stored, call, named) or await _handed_on(call, task, named)
    if path is None:
        raise Refusal("input_gone", 404, name=named.name)
    return named, path


def _stored(call: Call[Nothing, Nothing], named: InputFile) -> Path | None:
    """Return where the content store has the picture. Blocks."""
    try:
        place = call.desk.input_path(named.sha256)
    except ValueError:  # a record that somebody wrote by hand
        return None
    return inside(call.desk.settings.inputs.path, place)


async def _handed_on(call: Call[Nothing, Nothing], task: Task, named: InputFile) -> Path | None:
    """Return the result of stage one that a second stage was given."""
    if task.depends_on is None:
        return None
    index, family = call.desk.ledger.index, task.depends_on
    for each in index.family(family.row_id, family.workflow_type):
        for output in each.outputs:
            if output.sha256 == named.sha256 and output.path is not None:
                place = call.desk.output_path(output.path)
                return await asyncio.to_thread(inside, call.desk.settings.outputs.path, place)
    return None


def inside(folder: Path, path: Path) -> Path | None:
    """Return where *path* really lies, None when that is no file, or outside *folder*."""
    try:
        actual = path.resolve(strict=True)
        home = folder.resolve(strict=True)
    except (OSError, RuntimeError):
        return None
    return actual if actual.is_relative_to(home) and actual.is_file() else None


def headers_for(name: str) -> dict[str, str]:
    """Return what a browser must know of a file called *name*."""
    kind = SHOWN.get(PurePath(name).suffix.lower())
    quoted = quote(os.fsencode(PurePath(name).name))
    return {
        "Content-Type": kind or "application/octet-stream",
        "Content-Disposition": f"{'inline' if kind else 'attachment'}; filename*=UTF-8''{quoted}",
        "Cache-Control": "private, max-age=3600",
    }
