"""Ready tasks in queues, a batch apart from another, however many batches there are.

The heads of all queues of one kind stand in order, too; so the next task is found at a cost that
does not grow with the number of queues. A queue that has not its turn is set aside until something
of its batch changes.
"""

import heapq
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from typing import TypeAlias

import msgspec

from daemon.dispatch.fairness import Fairness

#: Priority (negated), age, the row's place in its file, the task's id.
Rank: TypeAlias = tuple[int, str, int, str]


class Kind(msgspec.Struct, frozen=True, kw_only=True, cache_hash=True):
    """What decides which servers may take a task, and how gladly."""

    workflow_type: str
    excluded: frozenset[str] = frozenset()  # servers that cannot run it
    wanted: str | None = None  # the server that is to run it, while it takes work


class QueueKey(msgspec.Struct, frozen=True, kw_only=True, cache_hash=True):
    """What the tasks of one queue have in common."""

    batch_id: str
    kind: Kind
    row_stage: int
    retried_at: str | None  # by hand: runs also in a batch that does not


class Head(msgspec.Struct, frozen=True, gc=False):
    """The first task of a queue."""

    rank: Rank
    key: QueueKey

    @property
    def priority(self) -> int:
        """Higher goes first."""
        return -self.rank[0]

    @property
    def task_id(self) -> str:
        """The task."""
        return self.rank[-1]


class Queues:
    """Holds ready tasks, each in one place, and finds those that go first.

    Heads are only put in order when somebody asks for them; meanwhile many may come and go.
    """

    def __init__(self, fairness: Fairness) -> None:
        self._fairness = fairness  # knows each task that is put here
        self._queues: dict[QueueKey, _Queue] = {}
        self._place: dict[str, Head] = {}
        self._counts: Counter[str] = Counter()  # per batch
        self._changed: set[QueueKey] = set()  # whose head is to be found, and offered, anew
        self._oldest: defaultdict[Kind, _Heads] = defaultdict(_Heads)
        self._due: defaultdict[Kind, _Heads] = defaultdict(_Heads)  # by their turn at the latest
        self._aside: defaultdict[str, set[QueueKey]] = defaultdict(set)  # by batch

    def __contains__(self, task_id: str) -> bool:
        return task_id in self._place

    def batch_ids(self) -> list[str]:
        """Return the batches that have tasks here."""
        return list(self._counts)

    def put(self, rank: Rank, key: QueueKey) -> None:
        """Put a task into a queue; it leaves the one it was in."""
        self.remove(rank[-1])
        if (queue := self._queues.get(key)) is None:
            queue = self._queues[key] = _Queue(key)
        self._place[rank[-1]] = Head(rank, queue.key)
        self._counts[key.batch_id] += 1
        heapq.heappush(queue.ranks, rank)
        if queue.ranks[0] is rank:
            self._changed.add(queue.key)

    def remove(self, task_id: str) -> None:
        """Take a task out, if it is here."""
        if (place := self._place.pop(task_id, None)) is None:
            return
        key = place.key
        self._counts[key.batch_id] -= 1
        if not self._counts[key.batch_id]:
            del self._counts[key.batch_id]
        ranks = self._queues[key].ranks
        if ranks[0] is place.rank:
            while ranks and not self._is_here(ranks[0]):
                heapq.heappop(ranks)
            if ranks:
                self._changed.add(key)
            else:
                del self._queues[key]
                self._changed.discard(key)

    def touch(self, batch_id: str) -> None:
        """Ask anew whether the batch's queues have their turn: something of it has changed."""
        self._changed.update(self._aside.pop(batch_id, ()))

    def oldest(
        self, may_take: Callable[[Kind], bool], has_turn: Callable[[QueueKey], bool]
    ) -> Iterator[Head]:
        """Yield, for each kind that may be taken, the first task of all that have their turn."""
        self._tidy()
        return self._firsts(self._oldest, may_take, has_turn)

    def due(
        self, may_take: Callable[[Kind], bool], has_turn: Callable[[QueueKey], bool]
    ) -> Iterator[Head]:
        """Yield, for each such kind, the head of the highest priority that must go first."""
        self._tidy()
        return self._firsts(self._due, may_take, has_turn)

    def _firsts(
        self,
        heads: "dict[Kind, _Heads]",
        may_take: Callable[[Kind], bool],
        has_turn: Callable[[QueueKey], bool],
    ) -> Iterator[Head]:
        for kind in list(heads):
            if may_take(kind) and (first := self._first(heads[kind], has_turn)) is not None:
                yield first
            if not heads[kind]:
                del heads[kind]

    def _first(self, heads: "_Heads", has_turn: Callable[[QueueKey], bool]) -> Head | None:
        while (head := heads.first()) is not None:
            queue = self._queues.get(head.key)
            aside = self._aside.get(head.key.batch_id, ())
            if queue is not None and queue.ranks[0] is head.rank and head.key not in aside:
                if has_turn(head.key):
                    return head
                self._aside[head.key.batch_id].add(head.key)
            heads.drop_first()
        return None

    def _tidy(self) -> None:
        """Offer the heads of the queues that have changed."""
        for key in self._changed:
            if (queue := self._queues.get(key)) is not None:
                head = self._place[queue.ranks[0][-1]]
                self._oldest[key.kind].offer(head, head.rank)
                latest = self._fairness.latest_turn(head.task_id)
                self._due[key.kind].offer(head, (-head.priority, latest))
        self._changed.clear()

    def _is_here(self, rank: Rank) -> bool:
        """Say whether the task has not left, nor got another rank."""
        place = self._place.get(rank[-1])
        return place is not None and place.rank is rank


class _Queue:
    """The ranks of one queue's tasks as a heap; those that left stay until they come up."""

    def __init__(self, key: QueueKey) -> None:
        self.key = key  # the one object for all its tasks
        self.ranks: list[Rank] = []


class _Heads:
    """Heads in an order; what is a head no longer is dropped when it comes up."""

    def __init__(self) -> None:
        self._heap: list[tuple[tuple[object, ...], int, Head]] = []
        self._offered: dict[QueueKey, Rank] = {}
        self._number = 0

    def __bool__(self) -> bool:
        return bool(self._heap)

    def offer(self, head: Head, order: tuple[object, ...]) -> None:
        """Take in a queue's head; again is no more than once."""
        if self._offered.get(head.key) is not head.rank:
            self._offered[head.key] = head.rank
            self._number += 1  # two may stand alike
            heapq.heappush(self._heap, (order, self._number, head))

    def first(self) -> Head | None:
        """Return the first one, which may be out of date."""
        return self._heap[0][2] if self._heap else None

    def drop_first(self) -> None:
        """Forget the first one."""
        _, _, head = heapq.heappop(self._heap)
        if self._offered.get(head.key) is head.rank:
            del self._offered[head.key]
