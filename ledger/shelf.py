"""Tasks by id: open ones as records, finished ones as encoded bytes.

A hundred thousand record objects make a garbage collection stall the loop; bytes do not. A later
shelf may keep file offsets instead: nobody outside knows how a finished task is held.
"""

from collections.abc import Iterator, Mapping

import msgspec

from ledger.status import OPEN_STAGES, Stage
from ledger.task import Dependency, Publish, Source, TableRow, Task

_encoder = msgspec.json.Encoder()
_tasks = msgspec.json.Decoder(Task)


class _Origin(msgspec.Struct, frozen=True, gc=False):
    source: Source | None = None
    table_row: TableRow | None = None


_NOTHING_TO_TELL = Publish()


class TaskKeys(msgspec.Struct, frozen=True, gc=False):
    """What the index needs of a finished task; decoding it costs a fraction of the whole."""

    task_id: str
    row_id: str
    batch_id: str
    workflow_type: str
    stage: Stage
    depends_on: Dependency | None = None
    metadata: _Origin = _Origin()
    publish: Publish = _NOTHING_TO_TELL

    @property
    def family(self) -> tuple[str, str]:
        """What at most one open task may exist for."""
        return (self.row_id, self.workflow_type)

    @property
    def row_stage(self) -> int:
        """See ``Task.row_stage``."""
        return 1 if self.depends_on is None else 2

    @property
    def fingerprint(self) -> str | None:
        """The fingerprint of the row the task was made for."""
        return self.metadata.source.fingerprint if self.metadata.source else None


_keys = msgspec.json.Decoder(TaskKeys)


def encode_task(task: Task) -> bytes:
    """Return the task as JSON, as the journal and the snapshot hold it."""
    return _encoder.encode(task)


def decode_task(encoded: bytes | msgspec.Raw) -> Task:
    """Return the task that ``encode_task`` wrote; raises msgspec.ValidationError otherwise."""
    return _tasks.decode(encoded)


class Shelf(Mapping[str, Task]):
    """A mapping task id → Task in the order of acceptance; finished ones decode when asked for."""

    def __init__(self) -> None:
        self._held: dict[str, Task | bytes] = {}

    def put(self, task: Task) -> None:
        """Hold *task*; it takes the place of its version before."""
        self._held[task.task_id] = task if task.stage in OPEN_STAGES else encode_task(task)

    def put_encoded(self, encoded: bytes) -> str:
        """Hold a task given as JSON and return its id; decoded wholly only when it is open."""
        keys = _keys.decode(encoded)
        open_ = keys.stage in OPEN_STAGES
        self._held[keys.task_id] = decode_task(encoded) if open_ else encoded
        return keys.task_id

    def remove(self, task_id: str) -> None:
        """Forget the task, if it is here."""
        self._held.pop(task_id, None)

    def keys_of(self, task_id: str) -> TaskKeys:
        """Return the task's keys without decoding all of it; raises KeyError."""
        held = self._held[task_id]
        return _keys.decode(held) if isinstance(held, bytes) else _keys_of_open(held)

    def open_task(self, task_id: str) -> Task | None:
        """Return the task when it is open, None when it is finished or unknown."""
        held = self._held.get(task_id)
        return held if isinstance(held, Task) else None

    def encoded(self, task_id: str) -> bytes:
        """Return the task as JSON; raises KeyError."""
        held = self._held[task_id]
        return held if isinstance(held, bytes) else encode_task(held)

    def __getitem__(self, task_id: str) -> Task:
        held = self._held[task_id]
        return decode_task(held) if isinstance(held, bytes) else held

    def __iter__(self) -> Iterator[str]:
        return iter(self._held)

    def __len__(self) -> int:
        return len(self._held)

    def __contains__(self, task_id: object) -> bool:
        return task_id in self._held


def _keys_of_open(task: Task) -> TaskKeys:
    return TaskKeys(
        task_id=task.task_id,
        row_id=task.row_id,
        batch_id=task.batch_id,
        workflow_type=task.workflow_type,
        stage=task.stage,
        depends_on=task.depends_on,
        metadata=_Origin(source=task.metadata.source, table_row=task.metadata.table_row),
        publish=task.publish,
    )
