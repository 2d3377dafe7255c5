"""Large transactions bit by bit, so that the loop is never held for long."""

import asyncio
from collections.abc import Generator, Iterable, Iterator
from itertools import islice
from time import monotonic
from typing import TypeAlias, TypeVar

import msgspec

from ledger.entry import Record, Transaction
from ledger.steps import Steps
from ledger.task import Task

T = TypeVar("T")

#: A transaction of more records is shown bit by bit.
SLICE = 1000
#: It is told in parts of so many: who follows a retry of thousands takes 50 µs for each.
PART = 100
#: How long the loop is held in one go; the writer's thread may make three times that of it.
SLICE_SECONDS = 0.004


async def in_slices(steps: Iterable[object]) -> None:
    """Go through *steps*, giving way to the loop as often as it needs."""
    until = monotonic() + SLICE_SECONDS
    for _ in steps:
        if monotonic() > until:
            await asyncio.sleep(0)
            until = monotonic() + SLICE_SECONDS


async def in_turns(steps: Generator[None, None, T]) -> T:
    """Go through *steps* likewise, and return what comes out of them; see ``steps.at_once``."""
    taken = Steps(steps)
    await in_slices(taken)
    return taken.outcome


async def let_go(things: list[T]) -> None:
    """Empty a long list bit by bit: to free 100,000 records takes a tenth of a second."""
    while len(things) > SLICE:
        del things[-SLICE:]
        await asyncio.sleep(0)
    things.clear()


#: A record and its JSON.
Change: TypeAlias = tuple[Record, bytes]


def parts(transaction: Transaction) -> Iterator[Transaction]:
    """Yield a large transaction in parts to be told of, tasks first."""
    changes = changes_of(transaction)
    while part := tuple(islice(changes, PART)):
        records, encoded = zip(*part, strict=True)
        yield msgspec.structs.replace(transaction, records=records, encoded=encoded)


def changes_of(transaction: Transaction) -> Iterator[Change]:
    """Return the changes in the order they are shown.

    Of a large transaction tasks come first: who starts from its batch sees all of it or nothing.
    """
    changes = zip(transaction.records, transaction.encoded, strict=True)
    return changes if len(transaction.records) <= SLICE else _tasks_first(changes)


def _tasks_first(changes: Iterable[Change]) -> Iterator[Change]:
    others: list[Change] = []
    for change in changes:
        if isinstance(change[0], Task):
            yield change
        else:
            others.append(change)
    yield from others
