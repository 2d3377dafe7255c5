"""What a store must keep, whatever it writes to. One contract-test suite runs over all of them."""

from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from typing import Protocol, TypeAlias

from ledger.archiving import Archived
from ledger.entry import Transaction
from ledger.errors import LedgerClosed
from ledger.fingerprints import KnownFingerprints
from ledger.index import Index
from ledger.stored import WrittenDown
from ledger.task import Task

#: Told on the loop that records can be read from the store, and what changed since the last time.
Snapshotted: TypeAlias = Callable[[WrittenDown], None]
#: Told on the loop what became of the transactions that came next: durable, with the seq of their
#: last line, or never written.
Written: TypeAlias = Callable[[Sequence[Transaction], int | LedgerClosed], None]


class Backend(Protocol):
    """A store of transactions."""

    archive_after_days: float  # rows finished for longer may leave the state

    async def open(self, snapshotted: Snapshotted, written: Written) -> Index:
        """Take the store for writing and return its state, with the ways into it.

        *snapshotted* is called each time the state was written down, *written* when transactions
        were. Raises LedgerLocked when another process has the store.
        """
        ...

    def prove_there(self) -> None:
        """Return when the store is where it was opened. Blocks, for a look; raises LedgerGone."""
        ...

    def append(self, transaction: Transaction) -> None:
        """Make *transaction* durable, then have *written* told, with those durable by then.

        Never blocks, and never calls back before it returned. Transactions count in the order of
        the calls, and are told of in that order, each once. LedgerClosed instead of a seq says that
        nothing more can be written; then these and all later ones are wholly absent.
        """
        ...

    async def reopen(self) -> None:
        """Begin writing again after a failure; raises LedgerClosed when it still cannot.

        The state is what was acknowledged; what failed stays absent, and so does all that was
        appended before this call.
        """
        ...

    async def compact(self) -> None:
        """Fold the changes so far into the state on disk; commits go on meanwhile."""
        ...

    async def archive(self, tasks: Sequence[Task]) -> dict[str, str]:
        """Copy finished *tasks* durably into the archive; returns task id → its place there.

        They leave the state only by the transaction that the caller commits afterwards. Raises
        LedgerGone, as ``prove_there``.
        """
        ...

    async def archived_fingerprints(self) -> KnownFingerprints:
        """Return what says whether an archived row has a fingerprint; it costs no memory a row.

        Of tasks archived later it does not know. Raises OSError when that cannot be made.
        """
        ...

    async def find_archived(self, task_id: str) -> Task | None:
        """Return an archived task, None when the archive has none of this id."""
        ...

    async def find_all_archived(
        self, task_ids: Collection[str], rows: Collection[str] = ()
    ) -> Archived:
        """Return those of the tasks that are archived, and all tasks of *rows* (their ids).

        Damage costs only the tasks that lie there, and is told.
        """
        ...

    async def forget_history(self, now: datetime) -> int:
        """Delete history older than the store keeps it; returns how many files went."""
        ...

    async def close(self) -> None:
        """End writing; everything acknowledged is on disk, and the store may be opened again."""
        ...
