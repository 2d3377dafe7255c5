"""What a batch cost: seconds of GPU by product, of the tasks that have ended."""

import asyncio
from collections import OrderedDict

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

    def take(self, task: Task) -> None:
        """Take in a task that has just ended."""
        if task.batch_id in self._ended_meanwhile:
            self._ended_meanwhile[task.batch_id][task.task_id] = task
        elif task.batch_id in self._sums:
            self._sums[task.batch_id].add(task)

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
