"""Whether the files that a task needs are still there; said before anything starts."""

from collections.abc import Callable, Generator, Iterable
from pathlib import Path
from typing import TypeAlias

from daemon.actions.plan import View
from ledger.steps import at_once
from ledger.task import Task

#: Where a file lies: of an input by its sha256, of an output by its path in the record.
PathOf: TypeAlias = Callable[[str], Path]


def gone_files(
    view: View,
    tasks: Iterable[Task],
    input_path: PathOf | None,
    output_path: PathOf | None,
) -> list[str]:
    """Return the same as ``gone_files_in_steps``, in one go."""
    return at_once(gone_files_in_steps(view, tasks, input_path, output_path))


def gone_files_in_steps(
    view: View,
    tasks: Iterable[Task],
    input_path: PathOf | None,
    output_path: PathOf | None,
) -> Generator[None, None, list[str]]:
    """Return the names of the files that are no longer on disk, each once; a step a task.

    First stage: the row's pictures in the content store. Second: the picture that stage one made,
    if it is made. A path that is not given is not looked at.
    """
    there: dict[str, bool] = {}  # many rows share their pictures
    gone: dict[str, None] = {}
    for task in tasks:
        for name, path in _needed(view, task, input_path, output_path):
            if (is_there := there.get(str(path))) is None:
                is_there = there[str(path)] = path.is_file()
            if not is_there:
                gone[name] = None
        yield
    return list(gone)


def files_of(view: View, task: Task) -> int:
    """Return how many files the task is given."""
    if task.depends_on is None:
        return len(task.inputs)
    return int(_stage_one_path(view, task) is not None)


def _needed(
    view: View,
    task: Task,
    input_path: PathOf | None,
    output_path: PathOf | None,
) -> Iterable[tuple[str, Path]]:
    if task.depends_on is None and input_path is not None:
        return [(file.name, input_path(file.sha256)) for file in task.inputs.values()]
    made = _stage_one_path(view, task)
    return [(made, output_path(made))] if made is not None and output_path is not None else []


def _stage_one_path(view: View, task: Task) -> str | None:
    needed = task.depends_on
    if needed is None:
        return None
    done = view.newest_done_of_family(needed.row_id, needed.workflow_type)
    return done.outputs[0].path if done is not None and done.outputs else None
