"""What a store must keep, whatever it writes to. One contract-test suite runs over all of them."""

from collections.abc import Sequence
from typing import Protocol

import msgspec

from ledger.batch import Batch
from ledger.entry import Meta, Transaction
from ledger.task import Task


class State(msgspec.Struct, kw_only=True):
    """Everything a store holds when it is opened."""

    tasks: dict[str, Task] = msgspec.field(default_factory=dict)
    batches: dict[str, Batch] = msgspec.field(default_factory=dict)
    meta: list[Meta] = msgspec.field(default_factory=list)
    archived_fingerprints: set[str] = msgspec.field(default_factory=set)
    last_seq: int = 0
    damage: list[str] = msgspec.field(default_factory=list)  # what could not be read, in words


class Backend(Protocol):
    """A store of transactions."""

    async def open(self) -> State:
        """Take the store for writing and return its state.

        Raises LedgerLocked when another process has it.
        """
        ...

    async def append(self, transaction: Transaction) -> int:
        """Make *transaction* durable as a whole and return the seq of its last line.

        Transactions count in the order of the calls. Raises LedgerClosed when nothing more can be
        written; then this one and all later ones are wholly absent.
        """
        ...

    async def close(self, state: Sequence[object] = ()) -> None:
        """End writing; everything acknowledged is on disk, and the store may be opened again."""
        ...
