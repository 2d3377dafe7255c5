"""A waiting row's place in line.

There may be a hundred thousand, each of a batch of its own: so all that is known of a row lies in
one record, and what many rows have in common is one object.
"""

import msgspec

from daemon.settle.gpu_memory import wanted_server
from ledger.ledger import Ledger
from ledger.task import Task

#: The one empty set; each new one would take 200 bytes.
NOBODY: frozenset[str] = frozenset()


class Kind(msgspec.Struct, frozen=True, kw_only=True, cache_hash=True, gc=False):
    """What decides which servers may take a task, and how gladly."""

    workflow_type: str
    excluded: frozenset[str] = NOBODY  # servers that cannot run it
    wanted: str | None = None  # the server that is to run it, while it takes work


class Terms(msgspec.Struct, frozen=True, kw_only=True, cache_hash=True, gc=False):
    """On what terms a task runs: rows of a batch on the same ones have their turn together."""

    kind: Kind
    row_stage: int
    retried_at: str | None  # by hand: runs also in a batch that does not

    def __lt__(self, other: object) -> bool:
        """Say no: places that differ in nothing else are of one task, and stand alike."""
        return False


class Place(msgspec.Struct, order=True, gc=False):
    """Where a waiting task stands: by priority, by age, then by the row's place in its file.

    The flags are for ``Queues``. A task that changes gets a new place, for old ones may still lie
    where they were.
    """

    urgency: int  # its priority, negated
    created_at: str
    ordinal: int
    task_id: str
    batch_id: str
    terms: Terms
    latest: int  # its turn at the latest, see ``fairness``
    is_aside: bool = False
    is_by_age: bool = False  # lies among the heads in that order
    is_by_turn: bool = False

    @property
    def priority(self) -> int:
        """Higher goes first."""
        return -self.urgency


#: So many terms are known again; only of rows retried by hand, one by one, there are more.
_TERMS_AT_HAND = 256


class Places:
    """Makes the places of tasks."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._created_at = ""  # of the last one; the next is mostly as old
        self._terms: dict[Terms, Terms] = {}

    def make(self, task: Task, excluded: frozenset[str], latest: int) -> Place:
        """Return a place for a task that *excluded* servers cannot run."""
        if task.created_at != self._created_at:
            self._created_at = task.created_at
        task_id, batch_id = self._ledger.index.kept_ids(task)
        ordinal = task.row_id.rpartition(":")[2]
        return Place(
            -task.priority,
            self._created_at,
            int(ordinal) if ordinal.isdecimal() else 0,
            task_id,
            batch_id,
            self._terms_of(task, excluded),
            latest,
        )

    def _terms_of(self, task: Task, excluded: frozenset[str]) -> Terms:
        terms = Terms(
            kind=Kind(
                workflow_type=task.workflow_type, excluded=excluded, wanted=wanted_server(task)
            ),
            row_stage=task.row_stage,
            retried_at=None if task.retried_from is None else task.created_at,
        )
        if len(self._terms) > _TERMS_AT_HAND:
            self._terms.clear()
        return self._terms.setdefault(terms, terms)
