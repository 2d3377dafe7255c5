"""Who is told of durable changes, and of which."""

from collections.abc import Callable, Collection, Sequence
from typing import TypeAlias

import structlog

from ledger.batch import Batch
from ledger.entry import Meta, Record, Transaction
from ledger.status import Stage
from ledger.task import Task

log = structlog.get_logger()

Listener: TypeAlias = Callable[[Transaction], None]
#: What a record is to those who are told: a task in its stage, a batch, a meta value.
Kind: TypeAlias = Stage | type[Batch] | type[Meta]

KINDS: frozenset[Kind] = frozenset({*Stage, Batch, Meta})


class Listeners:
    """Listeners in the order in which they came, each with the kinds that it wants to hear of.

    Most changes are of one record, and most listeners wait for one stage of many: who is told is
    looked up, not asked.
    """

    def __init__(self) -> None:
        self._all: list[tuple[Listener, frozenset[Kind]]] = []
        self._of_kind: dict[Kind, tuple[Listener, ...]] = dict.fromkeys(KINDS, ())

    def add(self, listener: Listener, kinds: Collection[Kind]) -> Callable[[], None]:
        """Tell *listener* of *kinds* from now on; returns what ends it."""
        wish = (listener, frozenset(kinds))
        self._all.append(wish)
        self._sort_in()

        def remove() -> None:
            self._all.remove(wish)
            self._sort_in()

        return remove

    def tell(self, transaction: Transaction) -> None:
        """Tell those whom *transaction* concerns, as of now; one that raises is logged."""
        task = transaction.task
        concerned = self._concerned(transaction) if task is None else self._of_kind[task.stage]
        for listener in concerned:
            try:
                listener(transaction)
            except Exception:  # the change is durable; a listener's fault is not the committer's
                log.exception("ledger.listener_failed", op=transaction.op)

    def _concerned(self, transaction: Transaction) -> Sequence[Listener]:
        kinds = {_kind_of(record) for record in transaction.records}
        return [each for each, wanted in self._all if not wanted.isdisjoint(kinds)]

    def _sort_in(self) -> None:
        for kind in KINDS:
            self._of_kind[kind] = tuple(each for each, wanted in self._all if kind in wanted)


def of_ends(*takers: Callable[[Task], None]) -> Listener:
    """Return a listener that gives each task to *takers* when it ends, in this order.

    Only the change that ends it counts; later ones, such as what a table was told, do not.
    """

    def follow(transaction: Transaction) -> None:
        for record in transaction.records:
            if isinstance(record, Task) and record.has_just_ended:
                for take in takers:
                    take(record)

    return follow


def _kind_of(record: Record) -> Kind:
    return record.stage if isinstance(record, Task) else type(record)
