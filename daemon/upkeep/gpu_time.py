"""What a batch cost: seconds of GPU by product, of the tasks that have ended."""

import asyncio
from collections import OrderedDict

from ledger.entry import Transaction
from ledger.ledger import Ledger
from ledger.slices import in_slices
from ledger.statistics import GpuSeconds
from ledger.task import Task

#: Batches whose sums are kept up to date; another one is summed up anew when somebody asks.
KEPT_BATCHES = 100


class GpuTime:
    """Sums up a batch when it is first asked for, then follows the ledger."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._sums: OrderedDict[str, GpuSeconds] = OrderedDict()
        self._ended_meanwhile: dict[str, dict[str, Task]] = {}  # of batches being summed up
        self._one_at_a_time = asyncio.Lock()

    async def of(self, batch_id: str) -> dict[str, float]:
        """Return the batch's seconds by product."""
        async with self._one_at_a_time:
            if batch_id not in self._sums:
                self._sums[batch_id] = await self._sum_up(batch_id)
                if len(self._sums) > KEPT_BATCHES:
                    self._sums.popitem(last=False)
            self._sums.move_to_end(batch_id)
            return self._sums[batch_id].by_product()

    def follow(self, transaction: Transaction) -> None:
        """Take in what a durable transaction ended: a listener of the ledger."""
        for record in transaction.records:
            if isinstance(record, Task) and record.has_just_ended:
                if record.batch_id in self._ended_meanwhile:
                    self._ended_meanwhile[record.batch_id][record.task_id] = record
                elif record.batch_id in self._sums:
                    self._sums[record.batch_id].add(record)

    async def _sum_up(self, batch_id: str) -> GpuSeconds:
        meanwhile = self._ended_meanwhile[batch_id] = {}
        try:
            sums = GpuSeconds()

            def add(task: Task) -> None:
                if task.task_id not in meanwhile:
                    sums.add(task)

            await in_slices(map(add, self._ledger.tasks(batch_id)))
            for task in meanwhile.values():
                sums.add(task)
            return sums
        finally:
            del self._ended_meanwhile[batch_id]
