"""Waiting tasks that may run now, in the order in which they should.

Lives in memory only: built from the ledger at start, kept up to date by its change feed. A task
is in exactly one place: in the backlog, ready in a queue, parked on the family it depends on,
deferred until its ``not_before``, or taken by a lane.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterator
from functools import partial
from itertools import starmap
from typing import TypeAlias

from daemon.clock import Clock
from daemon.dispatch.backlog import Backlog
from daemon.dispatch.deferred import Deferred
from daemon.dispatch.fairness import Fairness
from daemon.dispatch.place import Kind, Place, Places
from daemon.dispatch.queues import Queues
from daemon.dispatch.turn import has_its_turn
from daemon.dispatch.unfit import Unfit, UnfitRows
from daemon.retrying import JITTER, LONGEST_DELAY_SECONDS, OUT_OF_MEMORY
from daemon.settle.dependency import dependency_met, why_blocked
from daemon.settle.gpu_memory import given_up_by
from daemon.words.recorded import recorded
from ledger.entry import Meta, Transaction
from ledger.ledger import Ledger
from ledger.slices import in_slices
from ledger.status import Stage, Status
from ledger.task import Task
from ledger.timestamps import from_timestamp

Family: TypeAlias = tuple[str, str]

#: Picks of one workflow type in a row while an older row of another type waits.
AFFINITY_STREAK = 50
#: Ready rows among which the next one is chosen; more stay in the backlog.
CHOICE_ROWS = 4096
#: Of these so many are drawn at once: that holds the loop for a few milliseconds.
_PORTION = 1 / 16
_ENDED_BADLY = frozenset({Status.FAILED, Status.CANCELLED})
_LONGEST_WAIT_SECONDS = LONGEST_DELAY_SECONDS * (1 + JITTER)


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
        choice_rows: int = CHOICE_ROWS,
    ) -> None:
        self.grown: Callable[[], None] = lambda: None  # called when a row may run
        self._ledger = ledger
        self._clock = clock
        self._stage_order = stage_order  # all pictures of a batch before its first video
        self._affinity = affinity
        self._takes_work = takes_work
        self._choice_rows = choice_rows
        self._backlog = Backlog()
        self._fairness = Fairness()
        self._places = Places(ledger)
        self._queues = Queues()
        self._elsewhere: dict[str, Place] = {}  # of tasks that wait, but in no queue
        self._parked: dict[Family, set[str]] = defaultdict(set)
        self._deferred = Deferred(clock)
        self._taken: set[str] = set()
        self._unfit = UnfitRows()
        self.marks: dict[str, str | None] = {}  # task id -> its ``blocked_by`` to be

    async def load(self) -> None:
        """Know of every waiting task of the ledger; ``follow`` takes in what changes meanwhile."""
        await in_slices(starmap(self._backlog.add, self._ledger.index.line_up()))
        while self._may_draw():
            self._draw()
            await asyncio.sleep(0)

    def follow(self, transaction: Transaction) -> None:
        """Take in a durable change; the ledger's subscriber."""
        for record in transaction.records:
            if isinstance(record, Task):
                self._follow_task(record)
        changed = {each.batch_id for each in transaction.records if not isinstance(each, Meta)}
        for batch_id in changed:
            self._queues.touch(batch_id)

    def take(
        self, server: str, last_type: str | None, streak: int, runs: Callable[[str], bool]
    ) -> Task | None:
        """Return the next task for *server* and keep it from all others, or None.

        *runs* says whether a batch's waiting rows may run. *last_type* is preferred among equal
        priorities, but not for more than AFFINITY_STREAK picks (*streak* so far), and not before
        a row that would come later than fair is (see ``fairness``).
        """
        self._wake_deferred()
        if self._may_draw():
            self._draw()
        may_take = partial(self._may_run_on, server)
        has_turn = partial(has_its_turn, self._ledger, runs, pictures_first=self._stage_order)
        heads = list(self._queues.oldest(may_take, has_turn))
        top = max((head.priority for head in heads), default=None)
        if self._backlog and (top is None or self._backlog.is_above(top)):
            self._draw()
            self.grown()  # who asked looks again, after others had the loop
            return None
        if top is None:
            return None
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
        self._unfit.note(task, server, kind, reason)

    async def readmit(self, server: str) -> None:
        """Forget, bit by bit, what *server* could not run; it may have learnt."""
        await in_slices(map(self._sort_in_again, self._unfit.forgive(server)))

    def _sort_in_again(self, task_id: str) -> None:
        if task_id in self._queues:
            self._sort_in(self._ledger.task(task_id))

    async def unfit(self, servers: frozenset[str]) -> dict[str, Unfit]:
        """Return the ready tasks that none of *servers* can run, each with the reason."""
        found: dict[str, Unfit] = {}

        def look(task_id: str) -> None:
            if task_id in self._queues and self._unfit.excluded(task_id) >= servers:
                found[task_id] = self._unfit[task_id]

        await in_slices(map(look, list(self._unfit)))
        return found

    def take_marks(self) -> dict[str, str | None]:
        """Return the tasks whose ``blocked_by`` must change, and to what; each is told once."""
        marks, self.marks = self.marks, {}
        return marks

    def batch_ids(self) -> list[str]:
        """Return the batches that have ready tasks, or such as may be when they are looked at."""
        return self._ledger.index.batches_in_line() if self._backlog else self._queues.batch_ids()

    def seconds_to_next(self) -> float | None:
        """Return how long until a deferred task may run, or None."""
        return self._deferred.seconds_to_next()

    def _may_run_on(self, server: str, kind: Kind) -> bool:
        if server in kind.excluded:
            return False
        return kind.wanted in (None, server) or not self._takes_work(kind.wanted or "")

    def _is_late(self, head: Place, priority: int) -> bool:
        return head.priority == priority and self._fairness.is_late(priority, head.latest)

    def _follow_task(self, task: Task) -> None:
        if task.stage is Stage.WAITING:
            if self._may_stay_behind(task):
                self._backlog.add(task.task_id, task.priority)
                self.grown()
            else:
                self._sort_in(task)
            self._release(task)
            return
        if (place := self._withdraw(task.task_id)) is not None:
            self._fairness.leave(place.priority)
        if task.status in (Status.DONE, Status.FAILED, Status.CANCELLED):
            self._unfit.forget(task.task_id)
            self._release(task)
            if self._stage_order or task.status is not Status.DONE:
                self.grown()  # it may have been the last that kept others from their turn

    def _may_stay_behind(self, task: Task) -> bool:
        """Say whether a waiting task may stay in the backlog, or join those of its priority there.

        One that was tried comes back to its old place, which is before all of these.
        """
        if self._is_known(task.task_id) or task.attempt:
            return False
        return len(self._queues) >= self._choice_rows or self._backlog.has(task.priority)

    def _is_known(self, task_id: str) -> bool:
        return task_id in self._queues or task_id in self._elsewhere

    def _may_draw(self) -> bool:
        return bool(self._backlog) and len(self._queues) < self._choice_rows

    def _draw(self) -> None:
        """Look at the next rows of the backlog."""
        self._backlog.draw(max(1, int(self._choice_rows * _PORTION)), self._look_at)

    def _look_at(self, task_id: str, priority: int) -> None:
        if self._is_known(task_id):
            return
        task = self._ledger.index.find_task(task_id)
        if task is not None and task.stage is Stage.WAITING and task.priority == priority:
            self._sort_in(task)

    def _release(self, needed: Task) -> None:
        """Judge anew the tasks that depend on *needed*, which came to wait or has ended."""
        behind = [*self._parked.pop(needed.family, ())] if self._parked else []
        if self._backlog and (needed.retried_from or needed.status in _ENDED_BADLY):
            behind += self._doubtful_behind(needed)
        for task_id in behind:
            task = self._ledger.task(task_id)
            if task.stage is Stage.WAITING:
                self._sort_in(task)

    def _doubtful_behind(self, needed: Task) -> Iterator[str]:
        """Yield the tasks of the row that are in the backlog and say wrongly what blocks them."""
        for task_id in self._ledger.index.row(needed.row_id, besides=needed.workflow_type):
            if self._is_known(task_id):
                continue
            if self._ledger.index.stage_of(task_id) is Stage.WAITING:
                task = self._ledger.task(task_id)
                if why_blocked(self._ledger, task) != task.blocked_by:
                    yield task_id

    def _sort_in(self, task: Task, *, has_waited: bool = False) -> None:
        if task.task_id in self._taken:
            return  # the lane gives it back
        self._elsewhere[task.task_id] = self._place(task)
        if not self._dependency_met(task):
            return
        if not has_waited and (wait_seconds := self._seconds_to_wait(task)) > 0:
            self._deferred.add(task.task_id, wait_seconds)
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
        return self._places.make(task, self._unfit.excluded(task.task_id), latest)

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
        for task_id in self._deferred.take_due():
            task = self._ledger.task(task_id)
            if task.stage is Stage.WAITING and task_id not in self._queues:
                self._sort_in(task, has_waited=True)
