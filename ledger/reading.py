"""The usual questions, asked of the index as it stands."""

from collections.abc import Iterator, Mapping

from ledger.batch import Batch
from ledger.index import Index
from ledger.status import Stage
from ledger.task import Json, Task


class Reading:
    """Answers from memory; what is not yet durable is not seen."""

    _index: Index

    @property
    def index(self) -> Index:
        """All questions that can be asked of the state; the methods below are the usual ones."""
        return self._index

    def task(self, task_id: str) -> Task:
        """Return the task; raises UnknownRecord."""
        return self._index.task(task_id)

    def batch(self, batch_id: str) -> Batch:
        """Return the batch; raises UnknownRecord."""
        return self._index.batch(batch_id)

    def batches(self) -> Iterator[Batch]:
        """Yield all batches, oldest first; there may be as many as rows."""
        return self._index.batches()

    def tasks(self, batch_id: str | None = None) -> Iterator[Task]:
        """Yield all tasks (of one batch) in the order of their acceptance, finished ones too."""
        return self._index.tasks(batch_id)

    def in_stage(self, *stages: Stage, server: str | None = None) -> list[Task]:
        """Return the tasks in these open stages (on one server), oldest first.

        Cost grows with the answer, not with the ledger.
        """
        return self._index.in_stage(*stages, server=server)

    def each_in_stage(self, *stages: Stage) -> Iterator[Task]:
        """Yield the tasks in these open stages, oldest first, each as it stands at its turn.

        Lazy, so that many of them can be gone through in slices while commits happen.
        """
        return self._index.each_in_stage(*stages)

    def waiting(self, batch_id: str, workflow_type: str) -> Iterator[Task]:
        """Yield a batch's waiting tasks of a type: highest priority first, then as accepted.

        Lazy: taking the first costs the same with 10 or 1,000,000 waiting.
        """
        return self._index.waiting(batch_id, workflow_type)

    def waiting_types(self, batch_id: str) -> list[str]:
        """Return the workflow types that have waiting tasks in the batch."""
        return self._index.waiting_types(batch_id)

    def newest_of_family(self, row_id: str, workflow_type: str) -> Task | None:
        """Return the family's newest task, open or finished, or None."""
        return self._index.newest_of_family(row_id, workflow_type)

    def newest_done_of_family(self, row_id: str, workflow_type: str) -> Task | None:
        """Return the family's newest task in stage done, or None."""
        return self._index.newest_done_of_family(row_id, workflow_type)

    def counts(self, batch_id: str | None = None) -> dict[Stage, int]:
        """Return how many tasks stand in each stage (of one batch); never by counting."""
        return self._index.counts(batch_id)

    def family(self, row_id: str, workflow_type: str) -> list[Task]:
        """Return all tasks of the family in the state, oldest first."""
        return self._index.family(row_id, workflow_type)

    def family_counts(self, batch_id: str | None = None) -> dict[str, dict[Stage, int]]:
        """Return, per workflow type, how many families (of one batch) stand in each stage.

        A family stands where its newest task stands.
        """
        return self._index.family_counts(batch_id)

    def stage_counts(self, batch_id: str) -> dict[int, dict[Stage, int]]:
        """Return, for stage 1 and 2 of the rows, how many families stand in each stage."""
        return self._index.stage_counts(batch_id)

    def blocked_counts(self, batch_id: str) -> dict[int, int]:
        """Return, for stage 1 and 2 of the rows, how many waiting tasks are blocked."""
        return self._index.blocked_counts(batch_id)

    def failed_ids(self, batch_id: str) -> tuple[str, ...]:
        """Return the tasks that failed and are their family's newest, in the order of failing."""
        return self._index.failed_ids(batch_id)

    def was_accepted(self, fingerprint: str) -> bool:
        """Say whether a row with this fingerprint was ever accepted, archived rows included."""
        return self._index.was_accepted(fingerprint)

    def unpublished(self, table: str) -> list[str]:
        """Return the ids of the tasks that *table* has to be told of, those due longest first."""
        return self._index.unpublished(table)

    def meta(self, section: str) -> Mapping[str, Json]:
        """Return a section of the meta part: servers, drops, idempotency, counters."""
        return self._index.meta(section)
