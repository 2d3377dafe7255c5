"""A store that keeps everything in memory, with a store's semantics: for tests."""

import asyncio
from collections.abc import Collection, Sequence
from datetime import datetime

from ledger.archiving import Archived
from ledger.backend import Snapshotted, Written
from ledger.entry import Transaction
from ledger.errors import LedgerClosed, LedgerLocked
from ledger.index import Index
from ledger.state import State, apply
from ledger.task import Task


class MemoryBackend:
    """Keeps the transactions as long as the object lives; may be closed and opened again."""

    def __init__(self, *, archive_after_days: float = 30) -> None:
        self.archive_after_days = archive_after_days
        self.transactions: list[Transaction] = []
        self._last_seq = 0
        self._archive: dict[str, Task] = {}
        self._held = False
        self._failed: Exception | None = None
        self._written: Written | None = None

    async def open(self, snapshotted: Snapshotted, written: Written) -> Index:
        """Return the state after all transactions so far; nothing is ever kept elsewhere."""
        if self._held:
            raise LedgerLocked("this process")
        self._held, self._failed, self._written = True, None, written
        state = State(last_seq=self._last_seq)
        for transaction in self.transactions:
            for record, encoded in zip(transaction.records, transaction.encoded, strict=True):
                apply(state, record, encoded)
        index = Index(state)
        index.know_archived(await self.archived_fingerprints())
        return index

    def prove_there(self) -> None:
        """Nothing to do: memory is nowhere else."""

    def append(self, transaction: Transaction) -> None:
        """Keep *transaction*, and say so on the loop's next round, as with a disk."""
        if self._written is None:
            raise LedgerClosed("the ledger was never opened")
        asyncio.get_running_loop().call_soon(self._take, transaction, self._written)

    def _take(self, transaction: Transaction, written: Written) -> None:
        if self._failed is not None or not self._held:
            written([transaction], LedgerClosed(str(self._failed or "the ledger is closed")))
            return
        self.transactions.append(transaction)
        self._last_seq += len(transaction.records)
        written([transaction], self._last_seq)

    def fail(self, error: Exception) -> None:
        """Refuse every transaction from now on, as a full disk does, until ``reopen``."""
        self._failed = error

    async def reopen(self) -> None:
        """Take transactions again."""
        if not self._held:
            raise LedgerClosed("the ledger is closed")
        await asyncio.sleep(0)  # what was appended before fails
        self._failed = None

    async def compact(self) -> None:
        """Nothing to do: there are no files."""

    async def archive(self, tasks: Sequence[Task]) -> dict[str, str]:
        """Keep *tasks* aside."""
        self._archive.update({task.task_id: task for task in tasks})
        return {task.task_id: (task.finished_at or task.updated_at)[:7] for task in tasks}

    async def archived_fingerprints(self) -> frozenset[str]:
        """Return those of all archived tasks."""
        return frozenset(task.fingerprint for task in self._archive.values() if task.fingerprint)

    async def find_archived(self, task_id: str) -> Task | None:
        """Return an archived task."""
        return self._archive.get(task_id)

    async def find_all_archived(
        self, task_ids: Collection[str], rows: Collection[str] = ()
    ) -> Archived:
        """Return those of the tasks that are archived."""
        wanted = {
            key: task
            for key, task in self._archive.items()
            if key in task_ids or task.row_id in rows
        }
        return Archived(wanted)

    async def forget_history(self, now: datetime) -> int:
        """There is no history to forget."""
        return 0

    async def close(self) -> None:
        """Let go; transactions not yet kept fail."""
        await asyncio.sleep(0)
        self._held = False
