"""The pictures that a task needs: found on our disk, and brought to a server once."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import msgspec

from daemon.dispatch.servers import ServerState
from daemon.dispatch.workflow import Template
from daemon.words.recorded import recorded
from daemon.words.retelling import of_system
from ledger.ledger import Ledger
from ledger.task import HANDED_ON, InputFile, Task

#: Suffixes that ComfyUI's LoadImage is sure to offer; others are uploaded as .png (it looks at
#: the bytes, not at the name).
PICTURE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tiff"})


class TaskFiles(msgspec.Struct, frozen=True, kw_only=True):
    """Where the bytes of a record's files lie on this machine."""

    input_path: Callable[[str], Path]  # sha256 -> file in the content store
    output_path: Callable[[str], Path]  # a record's path -> absolute path


class FilesGone(Exception):
    """Input files of the task are no longer on disk, or cannot be read; the text names them."""


class Picture(msgspec.Struct, frozen=True):
    """A picture as records know it, and where it lies."""

    file: InputFile
    path: Path

    @property
    def upload_name(self) -> str:
        """Under which name a server gets it: the same for the same bytes."""
        suffix = Path(self.file.name).suffix.lower()
        return self.file.sha256 + (suffix if suffix in PICTURE_SUFFIXES else ".png")


def pictures_of(
    task: Task, template: Template, files: TaskFiles, ledger: Ledger
) -> dict[str, Picture]:
    """Return each picture column's file: in stage two one of them is what stage one made.

    Raises FilesGone.
    """
    pictures: dict[str, Picture] = {}
    for column in sorted(template.picture_columns):
        if task.depends_on is not None and column == HANDED_ON:
            pictures[column] = _stage_one_picture(task, files, ledger)
        elif (file := task.inputs.get(column)) is not None:
            pictures[column] = Picture(file, files.input_path(file.sha256))
        else:
            raise FilesGone(recorded("no_picture", column=column))
    if gone := [each.file.name for each in pictures.values() if not _is_there(each)]:
        raise FilesGone(recorded("inputs_gone", files=gone))
    return pictures


async def upload(pictures: Mapping[str, Picture], state: ServerState) -> dict[str, str]:
    """Have the server hold the pictures; returns its name for each, by column.

    Raises what ``WorkflowServer.upload`` does, but FilesGone for a picture that cannot be read any
    more. A kill leaves files on the server: harmless.
    """
    names: dict[str, str] = {}
    for column, picture in pictures.items():
        name = state.uploaded.get(picture.file.sha256)
        if name is None:
            with _read(picture):
                name = await state.client.upload(picture.path, picture.upload_name)
            state.uploaded[picture.file.sha256] = name
        names[column] = name
    return names


def _is_there(picture: Picture) -> bool:
    with _read(picture):
        return picture.path.is_file()


@contextmanager
def _read(picture: Picture) -> Iterator[None]:
    """Have what keeps the picture from being read told as FilesGone."""
    try:
        yield
    except FileNotFoundError as error:
        raise FilesGone(recorded("inputs_gone", files=[picture.file.name])) from error
    except OSError as error:
        why = of_system(error)
        raise FilesGone(recorded("input_unread", file=picture.file.name, why=why)) from error


def _stage_one_picture(task: Task, files: TaskFiles, ledger: Ledger) -> Picture:
    dependency = task.depends_on
    done = dependency and ledger.newest_done_of_family(dependency.row_id, dependency.workflow_type)
    if not done:
        raise FilesGone(recorded("no_first_picture"))
    output = done.outputs[0]
    path = files.output_path(output.path or "")
    file = InputFile(name=path.name, sha256=output.sha256 or "", size_bytes=output.size_bytes or 0)
    return Picture(file, path)
