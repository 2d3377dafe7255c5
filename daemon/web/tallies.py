"""What counts along with the ledger: for page, estimates, metrics and the end of a run."""

from typing import Self

import msgspec

from daemon.clock import Clock
from daemon.metrics import Metrics
from daemon.upkeep.eta import RunTimes
from daemon.upkeep.gpu_time import GpuTime
from daemon.upkeep.outcome import Endings
from daemon.web.activity import Activity
from daemon.web.counts import COUNTED_STAGES, Counts
from ledger.entry import Meta
from ledger.ledger import Ledger
from ledger.listeners import of_ends
from ledger.status import ENDED_STAGES


class Tallies(msgspec.Struct, frozen=True, kw_only=True):
    """Each knows what earlier processes left, and follows the ledger from there on."""

    run_times: RunTimes
    gpu_time: GpuTime
    activity: Activity
    counts: Counts
    endings: Endings

    @classmethod
    async def begin(cls, ledger: Ledger, metrics: Metrics, clock: Clock) -> Self:
        """Load and follow *ledger*, to which nobody may have committed anything by then.

        So nothing falls between what is loaded and what is told: what recovery settles counts too.
        """
        begun = cls(
            run_times=RunTimes(),
            gpu_time=GpuTime(ledger),
            activity=Activity(ledger, clock),
            counts=Counts(metrics, ledger),
            endings=Endings(),
        )
        await begun.run_times.load(ledger)
        await begun.activity.load()
        await begun.counts.load()
        of_each_end = (begun.endings, begun.run_times, begun.gpu_time, begun.activity)
        ledger.subscribe(of_ends(*(each.take for each in of_each_end)), *ENDED_STAGES)
        ledger.subscribe(begun.endings.follow_drops, Meta)
        ledger.subscribe(begun.counts.follow, *COUNTED_STAGES)
        return begun
