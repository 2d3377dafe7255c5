"""Tasks by id: those in process as records, all others where the store keeps them.

A task that waits or has ended costs a place in a file, not its bytes. One that came to wait or
ended since the store last wrote its state down lies here as JSON until then.
"""

from collections.abc import Iterator, Mapping
from itertools import chain, filterfalse
from typing import TypeAlias

import msgspec

from ledger.encoding import encode
from ledger.status import IN_PROCESS_STAGES, Stage
from ledger.stored import NoStoredTasks, StoredTasks
from ledger.task import Dependency, Publish, Source, TableRow, Task

_tasks = msgspec.json.Decoder(Task)


class _Origin(msgspec.Struct, frozen=True, gc=False):
    source: Source | None = None
    table_row: TableRow | None = None


_NOTHING_TO_TELL = Publish()
#: Who asks for a waiting task changes it next, which asks for it again. So many are kept decoded.
_AT_HAND = 256


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

_keys = msgspec.json.Decoder(TaskKeys)


def encode_task(task: Task) -> bytes:
    """Return the task as JSON, as the journal and the snapshot hold it."""
    return encode(task)


def decode_task(encoded: bytes | msgspec.Raw) -> Task:
    """Return the task that ``encode_task`` wrote; raises msgspec.ValidationError otherwise."""
    return _tasks.decode(encoded)


def decode_keys(encoded: bytes) -> TaskKeys:
    """Return the keys of a task given as JSON; raises msgspec.ValidationError."""
    return _keys.decode(encoded)


class Shelf(Mapping[str, Task]):
    """A mapping task id → Task in the order of acceptance.

    A task that waits or has ended is decoded when asked for, which takes two microseconds, after
    one read of a file at most, which takes one. Getting it raises LedgerDamaged when its bytes
    there are no more what was written.
    """

    def __init__(self, stored: StoredTasks | None = None) -> None:
        self._stored = NoStoredTasks() if stored is None else stored
        # Both may still hold some that the stored ones know of.
        self._gone: set[str] = set()  # removed since
        self._here: dict[str, Task | bytes] = {}  # in process, or newer than what is stored
        self._new: dict[str, None] = {}  # accepted since, in this order
        self._at_hand: dict[str, Task] = {}  # some of the waiting ones that were asked for

    def put(self, task: Task, encoded: bytes) -> bool:
        """Hold *task*, *encoded* as JSON, in place of its version before; say whether it is new."""
        held = task if task.stage in IN_PROCESS_STAGES else encoded
        return self._hold(task.task_id, held)

    def go_on(self, task: Task) -> bool:
        """Hold the next version of a task in process that keeps its stage and server.

        Returns False, with nothing changed, for any other task.
        """
        before = self._here.get(task.task_id)
        if not isinstance(before, Task):
            return False
        if before.stage is not task.stage or before.server != task.server:
            return False
        self._here[task.task_id] = task
        return True

    def put_encoded(self, task_id: str, encoded: bytes) -> None:
        """Hold a task that is not in process given as JSON."""
        self._hold(task_id, encoded)

    def put_stored(self, task: Task) -> None:
        """Hold a task in process that is as it is stored: one that is loaded."""
        self._here[task.task_id] = task

    def _hold(self, task_id: str, held: Task | bytes) -> bool:
        new = task_id not in self
        if new:
            self._new[task_id] = None
        self._here[task_id] = held
        self._at_hand.pop(task_id, None)
        return new

    def remove(self, task_id: str) -> None:
        """Forget the task, if it is here; no task will ever have its id again."""
        self._here.pop(task_id, None)
        self._at_hand.pop(task_id, None)
        self._new.pop(task_id, None)
        self._gone.add(task_id)

    def read_from(self, stored: StoredTasks, changed: Mapping[str, bytes | None]) -> Iterator[None]:
        """Read tasks from *stored* from now on, and let go, step by step, of what is there.

        *changed* is what changed between the stored ones before and these; all of it was put or
        removed here already. What changed after it stays here.
        """
        self._stored = stored
        return self._let_go(changed)

    def _let_go(self, stored: Mapping[str, bytes | None]) -> Iterator[None]:
        for task_id, encoded in stored.items():
            if encoded is None:
                self._gone.discard(task_id)
            else:
                self._new.pop(task_id, None)
                if self._here.get(task_id) == encoded:
                    del self._here[task_id]
            yield

    def keys_of(self, task_id: str) -> TaskKeys:
        """Return the task's keys without decoding all of it; raises KeyError, LedgerDamaged."""
        held = self._held(task_id)
        return _keys.decode(held) if isinstance(held, bytes) else _keys_of(held)

    def stage_of(self, task_id: str) -> Stage:
        """Return the stage the task stands in, without a read; raises KeyError."""
        held = self._here.get(task_id)
        if held is None:
            return self._stored.stage_of(task_id)
        return _keys.decode(held).stage if isinstance(held, bytes) else held.stage

    def in_process(self, task_id: str) -> Task | None:
        """Return the task when it is in process, None otherwise; reads nothing."""
        held = self._here.get(task_id)
        return held if isinstance(held, Task) else None

    def encoded(self, task_id: str) -> bytes:
        """Return the task as JSON; raises KeyError, LedgerDamaged."""
        held = self._held(task_id)
        return held if isinstance(held, bytes) else encode_task(held)

    def _held(self, task_id: str) -> Task | bytes:
        held = self._here.get(task_id)
        if held is None:
            if task_id in self._gone:
                raise KeyError(task_id)
            held = self._stored[task_id]
        return held

    def find(self, task_id: str) -> Task | None:
        """Return the task, or None; raises LedgerDamaged."""
        held = self._here.get(task_id)
        if isinstance(held, Task):
            return held
        if (task := self._at_hand.get(task_id)) is None and task_id in self:
            task = self[task_id]
            if task.stage is Stage.WAITING:
                self._keep_at_hand(task)
        return task

    def _keep_at_hand(self, task: Task) -> None:
        if len(self._at_hand) >= _AT_HAND:
            self._at_hand.clear()
        self._at_hand[task.task_id] = task

    def __getitem__(self, task_id: str) -> Task:
        held = self._held(task_id)
        return held if isinstance(held, Task) else decode_task(held)

    def __iter__(self) -> Iterator[str]:
        there = iter(self._stored)
        if self._gone:
            there = filterfalse(self._gone.__contains__, there)
        return chain(there, filterfalse(self._stored.__contains__, self._new))

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __contains__(self, task_id: object) -> bool:
        return (task_id in self._here) or (task_id in self._stored and task_id not in self._gone)


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
