"""Waiting tasks that may run now, in the order in which they should.

Lives in memory only: built from the ledger at start, kept up to date by its change feed. A task
is in exactly one place: ready in a queue, parked on the family it depends on, deferred until its
``not_before``, or taken by a lane.
"""

import heapq
from collections import defaultdict
from collections.abc import Callable
from functools import partial
from typing import TypeAlias

import msgspec

from daemon.clock import Clock
from daemon.dispatch.fairness import Fairness
from daemon.dispatch.place import NOBODY, Kind, Place, Places
from daemon.dispatch.queues import Queues
from daemon.retrying import JITTER, LONGEST_DELAY_SECONDS, OUT_OF_MEMORY
from daemon.settle.dependency import dependency_met, why_blocked
from daemon.settle.gpu_memory import given_up_by
from daemon.words.recorded import recorded
from ledger.entry import Meta, Transaction
from ledger.ledger import Ledger
from ledger.slices import in_slices
from ledger.status import OPEN_STAGES, Stage, Status
from ledger.task import Task
from ledger.timestamps import from_timestamp

Family: TypeAlias = tuple[str, str]

#: Picks of one workflow type in a row while an older row of another type waits.
AFFINITY_STREAK = 50
_LONGEST_WAIT_SECONDS = LONGEST_DELAY_SECONDS * (1 + JITTER)


class Unfit(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Why a task cannot run where it was tried; told anew, it is another one."""

    batch_id: str
    kind: str  # failure class
    reason: str


class ReadyRows:
    """Gives each lane its next task; the same task to nobody else."""

    def __init__(
        self,
        ledger: Ledger,
        clock: Clock,
        *,
        stage_order: bool = False,
        affinity: bool = True,
        takes_work: Callable[[str], bool] = lambda _server: False,
    ) -> None:
        self.grown: Callable[[], None] = lambda: None  # called when a row may run
        self._ledger = ledger
        self._clock = clock
        self._stage_order = stage_order  # all pictures of a batch before its first video
        self._affinity = affinity
        self._takes_work = takes_work
        self._fairness = Fairness()
        self._places = Places(ledger)
        self._queues = Queues()
        self._elsewhere: dict[str, Place] = {}  # of tasks that wait, but in no queue
        self._parked: dict[Family, set[str]] = defaultdict(set)
        self._deferred: list[tuple[float, str]] = []  # due by the clock that never leaps, task
        self._due: dict[str, float] = {}  # of each deferred task the moment that counts
        self._taken: set[str] = set()
        self._excluded: dict[str, frozenset[str]] = {}
        self._unfit: dict[str, Unfit] = {}  # why the excluding servers cannot run a task
        self.marks: dict[str, str | None] = {}  # task id -> its ``blocked_by`` to be

    async def load(self) -> None:
        """Take in every waiting task of the ledger; ``follow`` takes in what changes meanwhile."""
        await in_slices(map(self._sort_in, self._ledger.each_in_stage(Stage.WAITING)))

    def follow(self, transaction: Transaction) -> None:
        """Take in a durable change; the ledger's subscriber."""
        for record in transaction.records:
            if isinstance(record, Meta):
                continue
            if isinstance(record, Task):
                self._follow_task(record)
            self._queues.touch(record.batch_id)

    def take(
        self, server: str, last_type: str | None, streak: int, runs: Callable[[str], bool]
    ) -> Task | None:
        """Return the next task for *server* and keep it from all others, or None.

        *runs* says whether a batch's waiting rows may run. *last_type* is preferred among equal
        priorities, but not for more than AFFINITY_STREAK picks (*streak* so far), and not before
        a row that would come later than fair is (see ``fairness``).
        """
        self._wake_deferred()
        may_take, has_turn = partial(self._may_run_on, server), partial(self._has_its_turn, runs)
        heads = list(self._queues.oldest(may_take, has_turn))
        if not heads:
            return None
        top = max(head.priority for head in heads)
        heads = [head for head in heads if head.priority == top]
        if self._affinity and streak < AFFINITY_STREAK:
            late = [
                head for head in self._queues.due(may_take, has_turn) if self._is_late(head, top)
            ]
            alike = [head for head in heads if head.terms.kind.workflow_type == last_type]
            heads = late or alike or heads
        first = min(heads)
        task = self._ledger.task(first.task_id)  # before it is taken: it may not be readable
        self._queues.remove(task.task_id)
        self._elsewhere[task.task_id] = first
        self._taken.add(task.task_id)
        self._fairness.took(first.priority)
        return task

    def give_back(self, task_id: str) -> None:
        """Say that a taken task was dealt with; it is sorted in again if it still waits."""
        self._taken.discard(task_id)
        task = self._ledger.task(task_id)
        if task.stage is Stage.WAITING:
            self._sort_in(task)

    def exclude(self, task: Task, server: str, kind: str, reason: str) -> None:
        """Note that *server* cannot run the task, and why."""
        self._excluded[task.task_id] = self._excluded.get(task.task_id, NOBODY) | {server}
        self._unfit[task.task_id] = Unfit(batch_id=task.batch_id, kind=kind, reason=reason)

    async def readmit(self, server: str) -> None:
        """Forget, bit by bit, what *server* could not run; it may have learnt."""
        await in_slices(map(partial(self._readmit, server), list(self._excluded)))

    def _readmit(self, server: str, task_id: str) -> None:
        excluded = self._excluded.get(task_id, NOBODY)  # nobody: it has ended meanwhile
        if server in excluded:
            self._excluded[task_id] = excluded - {server}
            if task_id in self._queues:
                self._sort_in(self._ledger.task(task_id))

    async def unfit(self, servers: frozenset[str]) -> dict[str, Unfit]:
        """Return the ready tasks that none of *servers* can run, each with the reason."""
        found: dict[str, Unfit] = {}

        def look(task_id: str) -> None:
            if task_id in self._queues and self._excluded[task_id] >= servers:
                found[task_id] = self._unfit[task_id]

        await in_slices(map(look, list(self._unfit)))
        return found

    def take_marks(self) -> dict[str, str | None]:
        """Return the tasks whose ``blocked_by`` must change, and to what; each is told once."""
        marks, self.marks = self.marks, {}
        return marks

    def batch_ids(self) -> list[str]:
        """Return the batches that have ready tasks."""
        return self._queues.batch_ids()

    def seconds_to_next(self) -> float | None:
        """Return how long until a deferred task may run, or None."""
        if not self._deferred:
            return None
        return max(0.0, self._deferred[0][0] - self._clock.monotonic())

    def _may_run_on(self, server: str, kind: Kind) -> bool:
        if server in kind.excluded:
            return False
        return kind.wanted in (None, server) or not self._takes_work(kind.wanted or "")

    def _is_late(self, head: Place, priority: int) -> bool:
        return head.priority == priority and self._fairness.is_late(priority, head.latest)

    def _has_its_turn(self, runs: Callable[[str], bool], head: Place) -> bool:
        """Say whether the queue's rows may run now; those retried by hand run by themselves.

        Not, however, those that were retried before their batch was paused or stopped.
        """
        batch_id, terms = head.batch_id, head.terms
        if terms.retried_at is not None:
            batch = self._ledger.index.find_batch(batch_id)
            halted_at = batch.halted_at if batch else None
            return halted_at is None or terms.retried_at >= halted_at or runs(batch_id)
        if self._stage_order and terms.row_stage > 1 and self._first_stage_open(batch_id):
            return False
        return runs(batch_id)

    def _first_stage_open(self, batch_id: str) -> bool:
        first = self._ledger.stage_counts(batch_id)[1]
        blocked = self._ledger.blocked_counts(batch_id)[1]
        return sum(first[stage] for stage in OPEN_STAGES) > blocked

    def _follow_task(self, task: Task) -> None:
        if task.stage is Stage.WAITING:
            self._sort_in(task)
            self._release(task.family)
            return
        if (place := self._withdraw(task.task_id)) is not None:
            self._fairness.leave(place.priority)
        if task.status in (Status.DONE, Status.FAILED, Status.CANCELLED):
            self._excluded.pop(task.task_id, None)
            self._unfit.pop(task.task_id, None)
            self._release(task.family)
            if self._stage_order or task.status is not Status.DONE:
                self.grown()  # it may have been the last that kept others from their turn

    def _release(self, family: Family) -> None:
        for task_id in self._parked.pop(family, ()):
            task = self._ledger.task(task_id)
            if task.stage is Stage.WAITING:
                self._sort_in(task)

    def _sort_in(self, task: Task, *, has_waited: bool = False) -> None:
        if task.task_id in self._taken:
            return  # the lane gives it back
        self._elsewhere[task.task_id] = self._place(task)
        if not self._dependency_met(task):
            return
        if not has_waited and (wait_seconds := self._seconds_to_wait(task)) > 0:
            due = self._due[task.task_id] = self._clock.monotonic() + wait_seconds
            heapq.heappush(self._deferred, (due, task.task_id))
        else:
            self._queues.put(self._elsewhere.pop(task.task_id))
        self.grown()  # whoever waits must not oversleep it

    def _withdraw(self, task_id: str) -> Place | None:
        return self._queues.remove(task_id) or self._elsewhere.pop(task_id, None)

    def _place(self, task: Task) -> Place:
        """Return the task's new place; of the one it gives up it keeps the turn, if it can."""
        before = self._withdraw(task.task_id)
        if before is not None and before.priority == task.priority:
            latest = before.latest
        else:
            if before is not None:
                self._fairness.leave(before.priority)
            latest = self._fairness.enter(task.priority)
        for server in given_up_by(task.metadata):
            reason = recorded("memory", server=server)
            self.exclude(task, server, OUT_OF_MEMORY.kind, reason)
        return self._places.make(task, self._excluded.get(task.task_id, NOBODY), latest)

    def _dependency_met(self, task: Task) -> bool:
        """Say whether the task may run; park it otherwise, and note what its mark should be."""
        met = dependency_met(self._ledger, task)
        if not met and (needed := task.depends_on) is not None:
            self._parked[needed.row_id, needed.workflow_type].add(task.task_id)
        reason = why_blocked(self._ledger, task)
        if reason != task.blocked_by:
            self.marks[task.task_id] = reason
        else:
            self.marks.pop(task.task_id, None)  # what was noted before holds no longer
        return met

    def _seconds_to_wait(self, task: Task) -> float:
        """Return how long a delay still lasts; one that a wrong clock noted is held for no longer.

        The clock on the wall is asked this once: set meanwhile, it keeps no row waiting.
        """
        if task.not_before is None:
            return 0.0
        left = (from_timestamp(task.not_before) - self._clock.now()).total_seconds()
        return min(left, _LONGEST_WAIT_SECONDS)

    def _wake_deferred(self) -> None:
        now = self._clock.monotonic()
        while self._deferred and self._deferred[0][0] <= now:
            due, task_id = heapq.heappop(self._deferred)
            if self._due.get(task_id) != due:
                continue  # it was deferred anew since
            del self._due[task_id]
            task = self._ledger.task(task_id)
            if task.stage is Stage.WAITING and task_id not in self._queues:
                self._sort_in(task, has_waited=True)
