"""Every question about the state, answered at a cost that grows with the answer only.

``read_index(path)`` answers the same questions for a process that only reads. Where tasks stand is
known without a look at them; one that waits or has ended costs one read of a file when asked for.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from itertools import chain

from ledger.batch import Batch
from ledger.batch_index import BatchIndex
from ledger.entry import ARCHIVED, Meta, Record
from ledger.errors import UnknownRecord
from ledger.families import Families
from ledger.fingerprints import Fingerprints, KnownFingerprints
from ledger.open_tasks import OpenTasks
from ledger.rolls import ONE, Counts, Rolls, told_apart
from ledger.shelf import Indexed, TaskKeys, decode_task
from ledger.state import State, accept, apply
from ledger.status import IN_PROCESS_STAGES, OPEN_STAGES, Stage
from ledger.stored import WrittenDown
from ledger.task import Json, Task
from ledger.unpublished import Unpublished


class Index(BatchIndex):
    """The state and the ways into it; changed only by ``apply`` and ``go_on``, record by record."""

    def __init__(self, state: State) -> None:
        super().__init__(state.batches)
        self._state = state
        #: Takes in a task that goes on in its place, and nothing else; see ``Overlay.add_task``.
        self.go_on = state.tasks.go_on
        self._rolls = Rolls(state.tasks)
        self._open = OpenTasks(state.tasks, self._rolls)
        self._families = Families(state.tasks, self._rolls)
        self._total = 0  # packed; see ``rolls``
        self._counts = Counts(self._count)
        self._unpublished = Unpublished()
        self._fingerprints = Fingerprints()
        self._archived: KnownFingerprints = frozenset()  # fingerprints, too
        self.enter_all(map(state.tasks.indexed, state.tasks))

    # -- changing --------------------------------------------------------------------------------

    def apply(self, record: Record, encoded: bytes) -> None:
        """Take in one durable record, which is *encoded* as JSON."""
        if not isinstance(record, Task):
            self._apply_other(record, encoded)
            return
        before = self.stage_of(record.task_id)
        if before is None:
            accept(self._state, record, encoded)
        else:
            self._state.tasks.put(record, encoded)
        self._enter(record, before)

    def _apply_other(self, record: Batch | Meta, encoded: bytes) -> None:
        if isinstance(record, Batch):
            self._put_batch(record, encoded)
            return
        if record.section == ARCHIVED:
            self._forget(record.key)
        apply(self._state, record, encoded)

    def apply_encoded(self, keys: TaskKeys, encoded: bytes) -> None:
        """Take in one durable task given as JSON, whose *keys* are these; as ``apply``."""
        if keys.stage in IN_PROCESS_STAGES:
            self.apply(decode_task(encoded), encoded)
            return
        before = self.stage_of(keys.task_id)
        self._state.tasks.put_encoded(keys.task_id, encoded)
        self._enter(keys, before)

    def enter_all(self, tasks: Iterable[Indexed]) -> None:
        """Take in tasks as loading puts them on the shelf."""
        with self.counting_together():
            for task in tasks:
                self._enter(task, None)

    def counting_together(self) -> AbstractContextManager[None]:
        """Have like tasks taken in within counted at once, at the end: until then nobody asks."""
        return self._counts.together()

    def read_from(self, written: WrittenDown) -> Iterator[None]:
        """Read records from where they were *written* from now on; see ``Records.read_from``."""
        return chain(
            self._state.tasks.read_from(written.tasks, written.changed_tasks),
            self._batches.read_from(written.batches, written.changed_batches),
        )

    def know_archived(self, fingerprints: KnownFingerprints) -> None:
        """Know the rows with these fingerprints as accepted, too, in place of those before."""
        self._archived = fingerprints

    def leave_to_archived(self, fingerprints: Iterable[str]) -> Iterator[None]:
        """Hold no longer, step by step, what is known of archived rows."""
        for each in fingerprints:
            if each in self._archived:
                self._fingerprints.discard(each)
            yield

    def _enter(self, task: Indexed, before: Stage | None) -> None:
        if before is None:
            roll = self._rolls.accept(task.batch_id, task.task_id)
            self._counts.add(task, ONE[task.stage], self._families.join(task, roll))
        elif task.stage is not before:
            step = ONE[task.stage] - ONE[before]
            self._counts.add(task, step, self._families.change(task, before))
        self._note(task, before)

    def _note(self, task: Indexed, before: Stage | None) -> None:
        """Take in what is known of a task besides how many stand where."""
        if before is None and (fingerprint := task.fingerprint):
            self._fingerprints.add(fingerprint)
        self._unpublished.note(task)
        if task.stage in OPEN_STAGES:
            self._open.place(task)
        elif before is not None:
            self._open.remove(task)

    def _forget(self, task_id: str) -> None:
        if task_id not in self._state.tasks:
            return
        keys = self._state.tasks.keys_of(task_id)
        self._counts.settle()  # its batch may go with it
        self._open.remove(keys)
        self._count(keys, -ONE[keys.stage], self._families.part(keys))
        self._unpublished.forget(keys)
        if not self._rolls.forget(keys.batch_id):
            self._families.forget_batch(keys.batch_id)

    def _count(self, task: Indexed, tasks: int, families: int) -> None:
        """Count so many more, packed, where *task* counts."""
        self._rolls.count(task, tasks=tasks, families=families)
        self._families.count(task.workflow_type, families)
        self._total += tasks

    # -- asking ----------------------------------------------------------------------------------

    @property
    def last_seq(self) -> int:
        """The seq of the newest line the state holds, as of its loading."""
        return self._state.last_seq

    @property
    def damage(self) -> tuple[str, ...]:
        """What could not be read at loading, in words."""
        return tuple(self._state.damage)

    def find_task(self, task_id: str) -> Task | None:
        """Return the task, None when it is not in the state (unknown or archived)."""
        return self._state.tasks.find(task_id)

    def stage_of(self, task_id: str) -> Stage | None:
        """Return where the task stands, None when it is not in the state; reads no record."""
        if (stage := self._open.stage_of(task_id)) is not None:
            return stage
        return self._state.tasks.stage_of(task_id) if task_id in self._state.tasks else None

    def task(self, task_id: str) -> Task:
        """Return the task; raises UnknownRecord."""
        if (task := self.find_task(task_id)) is None:
            raise UnknownRecord("task", task_id)
        return task

    def tasks(self, batch_id: str | None = None) -> Iterator[Task]:
        """Yield all tasks (of one batch) in the order of their acceptance, finished ones too.

        Commits may happen meanwhile: each task is shown as it stands when its turn comes.
        """
        for task_id in self.task_ids(batch_id):
            if (task := self.find_task(task_id)) is not None:
                yield task

    def kept_ids(self, task: Task) -> tuple[str, str]:
        """Return the ids of a task and its batch as the texts that are kept here."""
        return self._rolls.kept_ids(task)

    def kept_batch_id(self, batch_id: str) -> str:
        """Return the id of a batch likewise."""
        return self._rolls.kept_batch_id(batch_id)

    def task_ids(self, batch_id: str | None = None) -> list[str]:
        """Return the ids of all tasks (of one batch) in the order of their acceptance."""
        return list(self._state.tasks) if batch_id is None else self._rolls.ids(batch_id)

    def in_stage(self, *stages: Stage, server: str | None = None) -> list[Task]:
        """Return the tasks in these open stages (on one server), oldest first."""
        return self._open.in_stage(*stages, server=server)

    def ids_in_stage(self, *stages: Stage) -> list[str]:
        """Return their ids likewise; reads no record."""
        return self._open.ids_in_stage(*stages)

    def each_in_stage(self, *stages: Stage) -> Iterator[Task]:
        """Yield the tasks in these open stages, oldest first, each as it stands at its turn.

        Commits may happen meanwhile: a task that left is not yielded, one that came need not be.
        """
        return self._open.each_in_stage(*stages)

    def line_up(self) -> Iterator[tuple[str, int]]:
        """Yield the waiting tasks' ids with their priorities, likewise; reads no record."""
        return self._open.line_up()

    @property
    def opened(self) -> int:
        """How many tasks were opened since the loading, those open then among them."""
        return self._open.opened

    def opened_after(self, count: int) -> Iterator[Task]:
        """Yield the open tasks but for the first *count* that were opened; commits may happen."""
        return self._open.opened_after(count)

    def waiting(self, batch_id: str, workflow_type: str) -> Iterator[Task]:
        """Return a batch's waiting tasks of a type: highest priority first, then as accepted.

        Safe to go on after commits: a task that left meanwhile is not yielded.
        """
        return self._open.waiting(batch_id, workflow_type)

    def waiting_types(self, batch_id: str) -> list[str]:
        """Return the workflow types that have waiting tasks in the batch."""
        return self._open.waiting_types(batch_id)

    def batches_in_line(self) -> list[str]:
        """Return the ids of the batches that have waiting tasks."""
        return self._rolls.in_line()

    def open_of_family(self, family: tuple[str, str]) -> str | None:
        """Return the id of the family's open task, or None."""
        newest = self._families.newest(family)
        return newest if newest is not None and newest in self._open else None

    def newest_of_family(self, row_id: str, workflow_type: str) -> Task | None:
        """Return the family's newest task, open or finished, or None."""
        newest = self._families.newest((row_id, workflow_type))
        return None if newest is None else self.task(newest)

    def newest_done_of_family(self, row_id: str, workflow_type: str) -> Task | None:
        """Return the family's newest task in stage done, or None."""
        for task_id in reversed(self._families.members((row_id, workflow_type))):
            if self.stage_of(task_id) is Stage.DONE:
                return self.task(task_id)
        return None

    def family(self, row_id: str, workflow_type: str) -> list[Task]:
        """Return all tasks of the family in the state, oldest first."""
        return [self.task(each) for each in self._families.members((row_id, workflow_type))]

    def row(self, row_id: str, *, besides: str | None = None) -> list[str]:
        """Return the ids of the row's tasks in the state, but for those of the type *besides*."""
        return self._families.row(row_id, besides=besides)

    def counts(self, batch_id: str | None = None) -> dict[Stage, int]:
        """Return how many tasks stand in each stage (of one batch); never by counting."""
        return told_apart(self._total) if batch_id is None else self._rolls.counts(batch_id)

    def family_counts(self, batch_id: str | None = None) -> dict[str, dict[Stage, int]]:
        """Return, per workflow type, how many families (of one batch) stand in each stage.

        A family stands where its newest task stands.
        """
        return self._families.totals() if batch_id is None else self._rolls.family_counts(batch_id)

    def stage_counts(self, batch_id: str) -> dict[int, dict[Stage, int]]:
        """Return, for stage 1 and 2 of the rows, how many families stand in each stage."""
        return self._rolls.stage_counts(batch_id)

    def blocked_counts(self, batch_id: str) -> dict[int, int]:
        """Return, for stage 1 and 2 of the rows, how many waiting tasks are blocked."""
        return self._rolls.blocked_by_row_stage(batch_id)

    def blocked_types(self, batch_id: str) -> dict[str, int]:
        """Return, per workflow type, how many waiting tasks of the batch are blocked."""
        return self._rolls.blocked_by_type(batch_id)

    def failed_ids(self, batch_id: str) -> tuple[str, ...]:
        """Return the tasks that failed and are their family's newest, in the order of failing."""
        return self._families.failed(batch_id)

    def was_accepted(self, fingerprint: str) -> bool:
        """Say whether a row with this fingerprint was ever accepted, archived rows included.

        Raises LedgerDamaged or OSError when it cannot be said.
        """
        return fingerprint in self._fingerprints or fingerprint in self._archived

    def unpublished(self, table: str) -> list[str]:
        """Return the ids of the tasks that *table* has to be told of, those due longest first."""
        return self._unpublished.of(table)

    def meta(self, section: str) -> Mapping[str, Json]:
        """Return a section of the meta part: servers, drops, idempotency, counters."""
        return self._state.meta.get(section, {})
