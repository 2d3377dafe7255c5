"""What the writer thread is told, and how it answers."""

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Literal, TypeAlias

import msgspec

from ledger.entry import Transaction
from ledger.errors import LedgerClosed
from ledger.jsondir.snapshot import Changes

Verb: TypeAlias = Literal["compact", "reopen", "close"]

#: For a group: the seq of its last line, or the error that ended writing.
Answer: TypeAlias = Callable[[int | LedgerClosed], None]


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """When to do what is not a commit."""

    journal_bytes: int = 16 * 1024 * 1024  # a longer journal is closed
    journal_bytes_at_close: int = 1024 * 1024  # a longer one is not kept open for the next start
    unfolded_bytes: int = 4 * 1024 * 1024  # of changes held for a snapshot; more press for it
    snapshot_seconds: float = 1.0  # from a change to the snapshot that shows it, when it is cheap
    snapshot_share: float = 0.02  # of the time, at most, goes into snapshots
    pressed_seconds: float = 1.0  # between two snapshots, also when one is pressed for
    stroke_bytes: int = 16 * 1024 * 1024  # written in one go: then the next snapshot waits,
    after_stroke_seconds: float = 5.0  # so long, whatever is due or pressed for
    quiet_seconds: float = 1.0  # without a journal closed, before closed ones are packed
    waiting_journals: int = 8  # so many closed ones are packed all the same
    probe_bytes: int = 1024 * 1024  # must be free before writing begins again


class Group(msgspec.Struct, frozen=True):
    """Transactions that arrived together."""

    transactions: Sequence[Transaction]
    answer: Answer


class Order(msgspec.Struct, frozen=True):
    """Something else to do: compact, reopen or close."""

    verb: Verb
    done: Future[None]


class Folded(msgspec.Struct, frozen=True):
    """The compactor's news: a snapshot was written, or failed and gives its changes back."""

    changes: Changes
    seconds: float
    error: Exception | None


Message: TypeAlias = Group | Order | Folded
