"""``ledger export``: the whole state as text for other programs; reads only, takes no lock."""

from collections.abc import Iterator
from pathlib import Path

import orjson

from ledger.jsondir import archive, snapshot
from ledger.jsondir.reader import read_state
from ledger.shelf import encode_task


def as_lines(path: Path, *, archived: bool = False) -> Iterator[bytes]:
    """Yield one JSON object a line: ``{"task":…}``, ``{"batch":…}``, ``{"meta":…}``.

    With *archived* the tasks that left the state come first.
    """
    state = read_state(path)
    if archived:
        for task in archive.every_task(path):
            if task.task_id not in state.tasks:
                yield b'{"task":%b}\n' % encode_task(task)
    for batch in state.batches.values():
        yield b'{"batch":%b}\n' % snapshot.encode_batch(batch)
    for task_id in state.tasks:
        yield b'{"task":%b}\n' % state.tasks.encoded(task_id)
    for section, values in state.meta.items():
        for key, value in values.items():
            yield orjson.dumps({"meta": {"section": section, "key": key, "value": value}}) + b"\n"


def as_document(path: Path, at: str) -> Iterator[bytes]:
    """Yield the state as a ledger.json of this moment, in pieces."""
    state = read_state(path)
    return snapshot.merged(None, snapshot.Changes.of(state), state.last_seq, at)
