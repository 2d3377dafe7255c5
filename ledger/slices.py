"""Large transactions bit by bit, so that the loop is never held for long."""

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from time import monotonic

import msgspec

from ledger.entry import Record, Transaction
from ledger.task import Task

#: A transaction of more records is shown bit by bit, and told in parts of so many.
SLICE = 1000
#: How long the loop is held in one go; the writer's thread may make three times that of it.
SLICE_SECONDS = 0.008


async def in_slices(steps: Iterable[object]) -> None:
    """Go through *steps*, giving way to the loop as often as it needs."""
    until = monotonic() + SLICE_SECONDS
    for _ in steps:
        if monotonic() > until:
            await asyncio.sleep(0)
            until = monotonic() + SLICE_SECONDS


def parts(transaction: Transaction) -> Iterator[Transaction]:
    """Yield a large transaction in parts to be told of, tasks first."""
    records = tasks_first(transaction.records)
    while part := tuple(islice(records, SLICE)):
        yield msgspec.structs.replace(transaction, records=part)


def tasks_first(records: Sequence[Record]) -> Iterator[Record]:
    """Order a large transaction so that who starts from its batch sees all of it or nothing."""
    yield from (record for record in records if isinstance(record, Task))
    yield from (record for record in records if not isinstance(record, Task))
