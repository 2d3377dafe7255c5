"""Tasks by id: those in process as records, all others where the store keeps them.

See ``records``: a task that waits or has ended costs a place in a file, not its bytes.
"""

import re
from typing import TypeAlias

import msgspec

from ledger.encoding import encode
from ledger.records import Records
from ledger.status import IN_PROCESS_STAGES, Stage
from ledger.task import Dependency, Publish, Source, TableRow, Task

_tasks = msgspec.json.Decoder(Task)

#: A task's mark is the number of its stage.
_STAGES = tuple(Stage)
_NUMBER_OF = {stage: number for number, stage in enumerate(_STAGES)}


class _Origin(msgspec.Struct, frozen=True, gc=False):
    source: Source | None = None
    table_row: TableRow | None = None


_NOTHING_TO_TELL = Publish()


class TaskKeys(msgspec.Struct, frozen=True, gc=False):
    """What the index needs of a task that is not in process."""

    task_id: str
    row_id: str
    batch_id: str
    workflow_type: str
    stage: Stage
    priority: int = 0
    server: str | None = None
    blocked_by: str | None = None
    depends_on: Dependency | None = None
    metadata: _Origin = _Origin()
    publish: Publish = _NOTHING_TO_TELL

    @property
    def mark(self) -> int:
        """See ``Records``."""
        return _NUMBER_OF[self.stage]

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


#: A task, whole or by its keys: what the index takes in.
Indexed: TypeAlias = Task | TaskKeys


class _Id(msgspec.Struct, frozen=True, gc=False):
    task_id: str


class _Standing(msgspec.Struct, frozen=True, gc=False):
    stage: Stage


_keys = msgspec.json.Decoder(TaskKeys)
_ids = msgspec.json.Decoder(_Id)
#: How a task begins as we write it.
_ID = re.compile(rb'\{"task_id":"([^"\\]+)"')
_standings = msgspec.json.Decoder(_Standing)


def encode_task(task: Task) -> bytes:
    """Return the task as JSON, as the journal and the snapshot hold it."""
    return encode(task)


def decode_task(encoded: bytes | msgspec.Raw) -> Task:
    """Return the task that ``encode_task`` wrote; raises msgspec.ValidationError otherwise."""
    return _tasks.decode(encoded)


def decode_keys(encoded: bytes) -> TaskKeys:
    """Return the keys of a task given as JSON; raises msgspec.ValidationError."""
    return _keys.decode(encoded)


def id_of_encoded(encoded: bytes) -> str:
    """Return the id of a task that is as it was written, mostly without a look at the rest."""
    found = _ID.match(encoded)
    return _ids.decode(encoded).task_id if found is None else found[1].decode()


def mark_of_encoded(encoded: bytes) -> int:
    """Return the mark of a task given as JSON; raises msgspec.ValidationError."""
    return _NUMBER_OF[_standings.decode(encoded).stage]


class Shelf(Records[Task]):
    """The tasks; those in process lie here as records, whatever the store has."""

    def decode(self, encoded: bytes) -> Task:
        """Return the task that is *encoded* as JSON."""
        return _tasks.decode(encoded)

    def put(self, task: Task, encoded: bytes) -> None:
        """Hold *task*, *encoded* as JSON, in place of its version before."""
        self.hold(task.task_id, task if task.stage in IN_PROCESS_STAGES else encoded)

    def accept(self, task: Task, encoded: bytes) -> None:
        """Hold a task that has no version here, likewise."""
        self.hold_new(task.task_id, task if task.stage in IN_PROCESS_STAGES else encoded)

    def go_on(self, task: Task) -> None:
        """Hold the next version of a task in process that stays in process."""
        self._here[task.task_id] = task

    def put_encoded(self, task_id: str, encoded: bytes) -> None:
        """Hold a task that is not in process given as JSON."""
        self.hold(task_id, encoded)

    def put_stored(self, task: Task) -> None:
        """Hold a task in process that is as it is stored: one that is loaded."""
        self._here[task.task_id] = task

    def keys_of(self, task_id: str) -> TaskKeys:
        """Return the task's keys without decoding all of it; raises KeyError, LedgerDamaged."""
        held = self.held(task_id)
        return _keys.decode(held) if isinstance(held, bytes) else _keys_of(held)

    def indexed(self, task_id: str) -> Indexed:
        """Return the task when it is in process, else its keys; raises as ``keys_of``."""
        return self.in_process(task_id) or self.keys_of(task_id)

    def stage_of(self, task_id: str) -> Stage:
        """Return the stage the task stands in, without a read; raises KeyError."""
        held = self._here.get(task_id)
        if held is None:
            return _STAGES[self._stored.mark_of(task_id)]
        return _keys.decode(held).stage if isinstance(held, bytes) else held.stage

    def in_process(self, task_id: str) -> Task | None:
        """Return the task when it is in process, None otherwise; reads nothing."""
        held = self._here.get(task_id)
        return held if isinstance(held, Task) else None

    def keep_at_hand(self, record_id: str, record: Task) -> None:
        """Keep waiting ones only: who asks for one changes it next, which asks for it again."""
        if record.stage is Stage.WAITING:
            super().keep_at_hand(record_id, record)

    def __getitem__(self, record_id: str) -> Task:
        held = self.held(record_id)
        if isinstance(held, Task):
            return held
        task = self.decode(held)
        # Whoever keeps the id of a task that was read keeps no second object.
        msgspec.structs.force_setattr(task, "task_id", record_id)
        return task


def _keys_of(task: Task) -> TaskKeys:
    return TaskKeys(
        task_id=task.task_id,
        row_id=task.row_id,
        batch_id=task.batch_id,
        workflow_type=task.workflow_type,
        stage=task.stage,
        priority=task.priority,
        server=task.server,
        blocked_by=task.blocked_by,
        depends_on=task.depends_on,
        metadata=_Origin(source=task.metadata.source, table_row=task.metadata.table_row),
        publish=task.publish,
    )
