"""The ledger in memory: index, transactions, change feed. Reads never touch the disk."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypeAlias

from ledger.backend import Backend
from ledger.batch import Batch
from ledger.entry import Record, Transaction
from ledger.status import Stage
from ledger.task import Json, Task

Listener: TypeAlias = Callable[[Transaction], None]


class Ledger:
    """The only door to the records for the one writing process.

    What a read returns is durable: a change is seen only after its transaction is on disk.
    """

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    async def open(self) -> None:
        """Load the state; raises LedgerLocked when another process writes it."""
        raise NotImplementedError

    async def close(self) -> None:
        """End writing, leave a complete snapshot, release the lock."""
        raise NotImplementedError

    # -- writing ---------------------------------------------------------------------------------

    async def commit(
        self,
        *records: Record,
        op: str,
        actor: str = "daemon",
        reason: str | None = None,
        evidence: Mapping[str, Json] | None = None,
    ) -> None:
        """Write *records* as one transaction; on return it survives kill -9 and power loss.

        Raises, with nothing written: Conflict when a record's version is not the known one + 1
        (1 for a new record) or a second open task of a family would come to be, IllegalMove,
        LedgerClosed.
        """
        raise NotImplementedError

    def new_task_ids(self, workflow_type: str, at: str, count: int = 1) -> list[str]:
        """Return ids never given before: ``img_``/``vid_`` + UTC day of *at* + running number."""
        raise NotImplementedError

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Call *listener* on the loop after each durable transaction; returns the unsubscriber."""
        raise NotImplementedError

    @property
    def writable(self) -> bool:
        """False once writing has ended (disk full, failed sync, closed)."""
        raise NotImplementedError

    @property
    def damage(self) -> Sequence[str]:
        """What could not be read at opening, in words; while not empty nothing is dispatched."""
        raise NotImplementedError

    # -- reading ---------------------------------------------------------------------------------

    def task(self, task_id: str) -> Task:
        """Return the task; raises UnknownRecord."""
        raise NotImplementedError

    def batch(self, batch_id: str) -> Batch:
        """Return the batch; raises UnknownRecord."""
        raise NotImplementedError

    def batches(self) -> list[Batch]:
        """Return all batches, oldest first."""
        raise NotImplementedError

    def tasks(self, batch_id: str | None = None) -> Iterator[Task]:
        """Yield all tasks (of one batch) in the order of their acceptance, finished ones too."""
        raise NotImplementedError

    def in_stage(self, *stages: Stage, server: str | None = None) -> list[Task]:
        """Return the tasks in these open stages (on one server), oldest first.

        Cost grows with the answer, not with the ledger.
        """
        raise NotImplementedError

    def waiting(self, batch_id: str, workflow_type: str) -> Iterator[Task]:
        """Yield a batch's waiting tasks of a type: highest priority first, then as accepted.

        Lazy: taking the first costs the same with 10 or 1,000,000 waiting.
        """
        raise NotImplementedError

    def waiting_types(self, batch_id: str) -> list[str]:
        """Return the workflow types that have waiting tasks in the batch."""
        raise NotImplementedError

    def newest_of_family(self, row_id: str, workflow_type: str) -> Task | None:
        """Return the family's newest task, open or finished, or None."""
        raise NotImplementedError

    def newest_done_of_family(self, row_id: str, workflow_type: str) -> Task | None:
        """Return the family's newest task in stage done, or None."""
        raise NotImplementedError

    def counts(self, batch_id: str | None = None) -> dict[Stage, int]:
        """Return how many tasks stand in each stage (of one batch); never by counting."""
        raise NotImplementedError

    def was_accepted(self, fingerprint: str) -> bool:
        """Say whether a row with this fingerprint was ever accepted, archived rows included."""
        raise NotImplementedError

    def meta(self, section: str) -> Mapping[str, Json]:
        """Return a section of the meta part: servers, drops, idempotency, counters."""
        raise NotImplementedError
