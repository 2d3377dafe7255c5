"""Ready tasks in queues, a batch apart from another, however many batches there are.

The heads of all queues of one kind stand in order, too; so the next task is found at a cost that
does not grow with the number of queues. A queue that has not its turn is set aside until something
of its batch changes.
"""

import heapq
from collections import defaultdict
from collections.abc import Callable, Iterator

import msgspec

from daemon.dispatch.fairness import Fairness
from ledger.task import Task

#: The one empty set; each new one would take 200 bytes.
NOBODY: frozenset[str] = frozenset()


class Kind(msgspec.Struct, frozen=True, kw_only=True, cache_hash=True, gc=False):
    """What decides which servers may take a task, and how gladly."""

    workflow_type: str
    excluded: frozenset[str] = NOBODY  # servers that cannot run it
    wanted: str | None = None  # the server that is to run it, while it takes work


class QueueKey(msgspec.Struct, frozen=True, kw_only=True, cache_hash=True, gc=False):
    """What the tasks of one queue have in common."""

    batch_id: str
    kind: Kind
    row_stage: int
    retried_at: str | None  # by hand: runs also in a batch that does not

    def __lt__(self, other: object) -> bool:
        """Say no: ranks that differ in nothing else are of one task, and stand alike."""
        return False


class Rank(msgspec.Struct, frozen=True, order=True, gc=False):
    """A task's place in line: priority, age, then the row's place in its file."""

    urgency: int  # its priority, negated
    created_at: str
    ordinal: int
    task_id: str
    key: QueueKey  # of its queue: the one object for all its tasks

    @property
    def priority(self) -> int:
        """Higher goes first."""
        return -self.urgency


class Queues:
    """Holds ready tasks, each in one place, and finds those that go first.

    Heads are only put in order when somebody asks for them; meanwhile many may come and go.
    """

    def __init__(self, fairness: Fairness) -> None:
        self._fairness = fairness  # knows each task that is put here
        # Mostly one: no heap. In a heap those that left stay until they come up.
        self._queues: dict[QueueKey, Rank | list[Rank]] = {}
        self._ranks: dict[str, Rank] = {}  # by task
        self._created_at = ""  # of the last one; the next is mostly as old
        # Whose head is to be offered; in a set they would take four times the memory.
        self._changed: dict[QueueKey, None] = {}
        self._oldest: defaultdict[Kind, _Heads] = defaultdict(_Heads)
        self._due: defaultdict[Kind, _Heads] = defaultdict(_Heads)  # by their turn at the latest
        self._aside: defaultdict[str, set[QueueKey]] = defaultdict(set)  # by batch

    def __contains__(self, task_id: str) -> bool:
        return task_id in self._ranks

    def batch_ids(self) -> list[str]:
        """Return the batches that have tasks here."""
        return list(dict.fromkeys(key.batch_id for key in self._queues))

    def put(self, task: Task, key: QueueKey) -> None:
        """Put a task into a queue; it leaves the one it was in."""
        self.remove(task.task_id)
        head = self._head(key)
        rank = self._rank(task, head.key if head else key)
        self._ranks[task.task_id] = rank
        held = self._queues.get(key)
        if isinstance(held, list):
            heapq.heappush(held, rank)
        else:
            self._queues[key] = rank if held is None else sorted((held, rank))
        if head is None or rank < head:
            self._changed[rank.key] = None

    def _head(self, key: QueueKey) -> Rank | None:
        held = self._queues.get(key)
        return held[0] if isinstance(held, list) else held

    def _rank(self, task: Task, key: QueueKey) -> Rank:
        if task.created_at != self._created_at:
            self._created_at = task.created_at
        ordinal = task.row_id.rpartition(":")[2]
        number = int(ordinal) if ordinal.isdecimal() else 0
        return Rank(-task.priority, self._created_at, number, task.task_id, key)

    def remove(self, task_id: str) -> None:
        """Take a task out, if it is here."""
        if (rank := self._ranks.pop(task_id, None)) is None:
            return
        held = self._queues[rank.key]
        if isinstance(held, list):
            if held[0] is not rank:
                return
            while held and self._ranks.get(held[0].task_id) is not held[0]:
                heapq.heappop(held)  # it has left, or got another rank
            if held:
                self._changed[rank.key] = None
                return
        del self._queues[rank.key]
        self._changed.pop(rank.key, None)

    def touch(self, batch_id: str) -> None:
        """Ask anew whether the batch's queues have their turn: something of it has changed."""
        self._changed.update(dict.fromkeys(self._aside.pop(batch_id, ())))

    def oldest(
        self, may_take: Callable[[Kind], bool], has_turn: Callable[[QueueKey], bool]
    ) -> Iterator[Rank]:
        """Yield, for each kind that may be taken, the first task of all that have their turn."""
        self._tidy()
        return self._firsts(self._oldest, may_take, has_turn)

    def due(
        self, may_take: Callable[[Kind], bool], has_turn: Callable[[QueueKey], bool]
    ) -> Iterator[Rank]:
        """Yield, for each such kind, the head of the highest priority that must go first."""
        self._tidy()
        return self._firsts(self._due, may_take, has_turn)

    def _firsts(
        self,
        heads: dict[Kind, "_Heads"],
        may_take: Callable[[Kind], bool],
        has_turn: Callable[[QueueKey], bool],
    ) -> Iterator[Rank]:
        for kind in list(heads):
            if may_take(kind) and (first := self._first(heads[kind], has_turn)) is not None:
                yield first
            if not heads[kind]:
                del heads[kind]

    def _first(self, heads: "_Heads", has_turn: Callable[[QueueKey], bool]) -> Rank | None:
        while (rank := heads.first()) is not None:
            aside = self._aside.get(rank.key.batch_id, ())
            if self._head(rank.key) is rank and rank.key not in aside:
                if has_turn(rank.key):
                    return rank
                self._aside[rank.key.batch_id].add(rank.key)
            heads.drop_first()
        return None

    def _tidy(self) -> None:
        """Offer the heads of the queues that have changed."""
        for key in self._changed:
            if (rank := self._head(key)) is not None:
                self._oldest[key.kind].offer(rank)
                latest = self._fairness.latest_turn(rank.task_id)
                self._due[key.kind].offer(rank, latest)
        self._changed.clear()


class _Head(msgspec.Struct, frozen=True, order=True, gc=False):
    """A head of a queue in the order of all those of its kind."""

    urgency: int
    latest: int  # its turn at the latest; 0 among those in the order of their age
    rank: Rank


class _Heads:
    """Heads of queues in an order; what is a head no longer is dropped when it comes up."""

    def __init__(self) -> None:
        self._heap: list[_Head] = []
        self._offered: dict[QueueKey, Rank] = {}

    def __bool__(self) -> bool:
        return bool(self._heap)

    def offer(self, rank: Rank, latest: int = 0) -> None:
        """Take in a queue's head; again is no more than once."""
        if self._offered.get(rank.key) is not rank:
            self._offered[rank.key] = rank
            heapq.heappush(self._heap, _Head(rank.urgency, latest, rank))

    def first(self) -> Rank | None:
        """Return the first one, which may be out of date."""
        return self._heap[0].rank if self._heap else None

    def drop_first(self) -> None:
        """Forget the first one."""
        rank = heapq.heappop(self._heap).rank
        if self._offered.get(rank.key) is rank:
            del self._offered[rank.key]
