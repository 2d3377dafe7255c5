"""How a batch stands, by the newest task of each family, never by counting tasks. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Protocol, Self

import msgspec

from ledger.status import IN_PROCESS_STAGES, Stage
from ledger.task import Task


class Counts(Protocol):
    """What the index knows without looking at any task."""

    def stage_counts(self, batch_id: str) -> dict[int, dict[Stage, int]]:
        """Return, for stage 1 and 2 of the rows, how many families stand in each stage."""
        ...

    def blocked_counts(self, batch_id: str) -> dict[int, int]:
        """Return, for stage 1 and 2 of the rows, how many waiting tasks are blocked."""
        ...


class StageStatistics(msgspec.Struct, frozen=True, kw_only=True):
    """Families, each once, by its newest task: ``total`` is the sum of the others."""

    total: int = 0
    completed: int = 0
    failed: int = 0
    pending: int = 0
    processing: int = 0
    cancelled: int = 0
    blocked: int = 0  # wait for a family that failed or was cancelled

    @property
    def open(self) -> int:
        """How many may still go on by themselves."""
        return self.pending + self.processing


class BatchStatistics(StageStatistics, frozen=True, kw_only=True):
    """The sums over both stages, the stages by their numbers, and the number of rows."""

    rows: int = 0
    stages: dict[str, StageStatistics] = msgspec.field(default_factory=dict)

    @property
    def stage(self) -> int:
        """The stage the batch is in: 2 once no picture of a two-stage row can still come."""
        first, second = self.stages["1"], self.stages["2"]
        return 2 if second.total and not first.open else 1


class GpuSeconds:
    """Seconds of execution by product, of tasks that have ended."""

    def __init__(self) -> None:
        self._sums: defaultdict[str, float] = defaultdict(float)

    def add(self, task: Task) -> None:
        """Add a task; one that is open adds nothing yet."""
        if task.finished_at is not None and task.gpu_seconds:
            self._sums[task.product_name] += task.gpu_seconds

    def by_product(self) -> dict[str, float]:
        """Return the sums in the order in which the products appeared."""
        return {product: round(seconds, 3) for product, seconds in self._sums.items()}

    @classmethod
    def of(cls, tasks: Iterable[Task]) -> Self:
        """Return the sums over *tasks*."""
        sums = cls()
        for task in tasks:
            sums.add(task)
        return sums


def statistics(view: Counts, batch_id: str) -> BatchStatistics:
    """Return how the batch stands; costs the same with 10 and 1,000,000 rows."""
    blocked = view.blocked_counts(batch_id)
    return summed(
        {
            number: _of_stage(counts, blocked[number])
            for number, counts in view.stage_counts(batch_id).items()
        }
    )


def summed(stages: Mapping[int, StageStatistics]) -> BatchStatistics:
    """Return the statistics of a batch whose stages 1 and 2 stand so."""
    sums = map(sum, zip(*map(msgspec.structs.astuple, stages.values()), strict=True))
    return BatchStatistics(
        rows=max(stage.total for stage in stages.values()),  # one stage holds every row
        stages={str(number): stage for number, stage in stages.items()},
        **dict(zip(StageStatistics.__struct_fields__, sums, strict=True)),
    )


def _of_stage(counts: Mapping[Stage, int], blocked: int) -> StageStatistics:
    return StageStatistics(
        total=sum(counts.values()),
        completed=counts[Stage.DONE],
        failed=counts[Stage.FAILED],
        pending=counts[Stage.WAITING] - blocked,
        processing=sum(counts[stage] for stage in IN_PROCESS_STAGES),
        cancelled=counts[Stage.CANCELLED],
        blocked=blocked,
    )
