"""One task in full, and its changes, as text."""

from collections.abc import Sequence

import msgspec

from daemon.cli.render import table
from daemon.cli.views import tasks
from daemon.words import Words
from daemon.words.retelling import in_language
from daemon.words.values import local_time, printable
from ledger.jsondir.journal import Line
from ledger.shelf import decode_task
from ledger.task import Task


def task(one: Task, family: Sequence[Task], history: Sequence[Line], words: Words) -> str:
    """Return every field of a task that says something, its family and its history."""
    fields = msgspec.to_builtins(one)
    lines = [f"{key:<18} {_plain(value)}" for key, value in fields.items() if _says(value)]
    if len(family) > 1:
        lines += ["", words("task.family"), tasks(family, words)]
    return "\n".join([*lines, "", words("task.history"), changes(history, words)])


def changes(history: Sequence[Line], words: Words) -> str:
    """Return a line for each change of a task."""
    rows = [
        [
            line.seq,
            local_time(line.at),
            line.op,
            _stage_in(line, words),
            line.actor,
            in_language(line.reason or "", words.language),
        ]
        for line in history
    ]
    heads = ("seq", "at", "op", "stage", "actor", "reason")
    return table([words(f"column.{head}") for head in heads], rows)


def _stage_in(line: Line, words: Words) -> str:
    return "" if line.task is None else words(f"stage.{decode_task(line.task).stage}")


def _says(value: object) -> bool:
    return value not in (None, "", [], {}, False)


def _plain(value: object) -> str:
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    return printable(text)
