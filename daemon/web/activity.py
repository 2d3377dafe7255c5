"""How busy the last hour was: rows made and failed by the minute, how much each GPU worked."""

from bisect import insort_left
from collections import deque
from collections.abc import Generator, Iterable, Sequence
from datetime import datetime

from daemon.clock import Clock
from daemon.concern import Concern
from daemon.dispatch.servers import ServerState
from daemon.web.documents import OverviewDocument
from daemon.web.task_documents import TaskRow
from daemon.web.views import task_row
from daemon.web.warning import BilingualWarning
from ledger.ledger import Ledger
from ledger.newest import newest_done
from ledger.slices import in_turns
from ledger.status import Stage
from ledger.task import Task
from ledger.timestamps import from_timestamp

MINUTES = 60
#: Over how long the share is taken in which a GPU was busy, and in slots of how long.
BUSY_SECONDS = 300
SLOT_SECONDS = 10
#: Results shown as the newest ones.
LATEST_RESULTS = 24
#: Tasks looked at, at a start, to find the newest results.
TASKS_LOOKED_AT = 2000


class Activity:
    """Counts what ends, from the ledger's feed; memory is bounded by the hour's minutes."""

    def __init__(self, ledger: Ledger, clock: Clock) -> None:
        self._ledger = ledger
        self._clock = clock
        self._since = clock.now()
        self._minutes: dict[int, list[int]] = {}  # minutes since the epoch -> [done, failed]
        self._busy: dict[str, dict[int, float]] = {}  # server -> slot -> seconds of execution
        self._latest: deque[Task] = deque(maxlen=LATEST_RESULTS)

    async def load(self) -> None:
        """Take in the newest results that earlier processes have made."""
        self._latest.extend(await in_turns(_newest_results(self._ledger)))

    def take(self, task: Task) -> None:
        """Count a task that has just ended."""
        if task.stage is Stage.DONE or task.stage is Stage.FAILED:
            self._count_in_minute(task)
        if task.stage is Stage.DONE and task.output_files:
            self._latest.append(task)
        if task.gpu_seconds and task.server and task.started_at:
            began = from_timestamp(task.started_at).timestamp()
            self._note_busy(task.server, began, began + task.gpu_seconds)

    def overview(
        self, servers: Sequence[ServerState], stuck: int, concerns: Iterable[Concern]
    ) -> OverviewDocument:
        """Return the last hour, the busy shares of *servers* and what a person should know."""
        now = self._clock.now()
        minute = _minute(now)
        counts = [self._minutes.get(minute - ago, [0, 0]) for ago in reversed(range(MINUTES))]
        return OverviewDocument(
            done_per_minute=[done for done, _ in counts],
            failed_per_minute=[failed for _, failed in counts],
            busy_shares={state.name: self._busy_share(state.name, now) for state in servers},
            stuck=stuck,
            warnings=[BilingualWarning.of(each) for each in concerns],
        )

    def latest(self) -> list[TaskRow]:
        """Return the newest results, the newest one first."""
        return [task_row(task) for task in reversed(self._latest)]

    def _count_in_minute(self, task: Task) -> None:
        minute = _minute(self._clock.now())
        if minute not in self._minutes:
            for old in [each for each in self._minutes if each <= minute - MINUTES]:
                del self._minutes[old]
            self._minutes[minute] = [0, 0]
        self._minutes[minute][task.stage is Stage.FAILED] += 1

    def _note_busy(self, server: str, began: float, ended: float) -> None:
        """Spread an execution (seconds since the epoch) over its slots; forget old slots."""
        slots = self._busy.setdefault(server, {})
        oldest = int(self._clock.now().timestamp() - BUSY_SECONDS) // SLOT_SECONDS
        for slot in range(max(oldest, int(began) // SLOT_SECONDS), int(ended) // SLOT_SECONDS + 1):
            begin = max(began, slot * SLOT_SECONDS)
            slots[slot] = slots.get(slot, 0.0) + min(ended, (slot + 1) * SLOT_SECONDS) - begin
        for old in [slot for slot in slots if slot < oldest]:
            del slots[old]

    def _busy_share(self, server: str, now: datetime) -> float:
        """Return the share of the last minutes (since our start, at most) in which it executed."""
        window_seconds = min(BUSY_SECONDS, (now - self._since).total_seconds())
        if window_seconds <= 0:
            return 0.0
        begin = now.timestamp() - window_seconds
        slots = self._busy.get(server, {}).items()
        busy_seconds = sum(busy for slot, busy in slots if (slot + 1) * SLOT_SECONDS > begin)
        for task in self._ledger.in_stage(Stage.RUNNING, server=server):
            if task.started_at is not None:
                began = from_timestamp(task.started_at).timestamp()
                busy_seconds += max(0.0, now.timestamp() - max(began, begin))
        return round(min(1.0, busy_seconds / window_seconds), 2)


def _minute(at: datetime) -> int:
    return int(at.timestamp() // 60)


def _newest_results(ledger: Ledger) -> Generator[None, None, list[Task]]:
    """Find the newest results among the tasks of the newest batches, oldest first."""
    done: list[Task] = []
    for task in newest_done(ledger.index, TASKS_LOOKED_AT):
        if task is not None and task.output_files:
            insort_left(done, task, key=lambda each: each.finished_at or "")
            del done[:-LATEST_RESULTS]  # 2000 records would be 10 MB
        yield
    return done
