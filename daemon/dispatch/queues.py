"""Ready tasks in queues, a batch apart from another, however many batches there are.

The heads of all queues of one kind stand in order, too; so the next task is found at a cost that
does not grow with the number of queues. A queue that has not its turn is set aside until something
of its batch changes.
"""

import heapq
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import TypeVar

import msgspec

from daemon.dispatch.heads import ByAge, ByTurn, Heads
from daemon.dispatch.place import Kind, Place, Terms

H = TypeVar("H", bound=Heads)


class _Several(msgspec.Struct, gc=False):
    """The ready tasks of a batch that has, or had, more than one."""

    queues: dict[Terms, list[Place]]  # heaps; those that left stay until they come up
    aside: dict[str, Place]  # heads that were set aside, by task


class Queues:
    """Holds ready tasks, each in one place, and finds those that go first.

    Heads are only put in order when somebody asks for them; meanwhile many may come and go.
    """

    def __init__(self) -> None:
        self._places: dict[str, Place] = {}  # by task
        self._batches: dict[str, Place | _Several] = {}  # mostly one task, which needs no queue
        self._new_heads: dict[str, Place] = {}  # not in order yet, by task
        self._by_age: defaultdict[Kind, ByAge] = defaultdict(ByAge)
        self._by_turn: defaultdict[Kind, ByTurn] = defaultdict(ByTurn)

    def __len__(self) -> int:
        return len(self._places)

    def __contains__(self, task_id: str) -> bool:
        return task_id in self._places

    def batch_ids(self) -> list[str]:
        """Return the batches that have tasks here."""
        return list(self._batches)

    def put(self, place: Place) -> None:
        """Put a task that is not here into the queue of its batch and terms."""
        self._places[place.task_id] = place
        held = self._batches.get(place.batch_id)
        if held is None:
            self._batches[place.batch_id] = place
        else:
            several = held if isinstance(held, _Several) else self._joined(held)
            queue = several.queues.setdefault(place.terms, [])
            heapq.heappush(queue, place)
            if queue[0] is not place:
                return
        self._new_heads[place.task_id] = place

    def _joined(self, first: Place) -> _Several:
        """Make queues for a batch whose first task gets company."""
        several = _Several({first.terms: [first]}, {first.task_id: first} if first.is_aside else {})
        self._batches[first.batch_id] = several
        return several

    def remove(self, task_id: str) -> Place | None:
        """Take a task out, if it is here; returns the place it had."""
        if (place := self._places.pop(task_id, None)) is None:
            return None
        self._new_heads.pop(task_id, None)
        held = self._batches[place.batch_id]
        if isinstance(held, _Several):
            self._leave(held, place)
        else:
            del self._batches[place.batch_id]
        return place

    def _leave(self, several: _Several, place: Place) -> None:
        several.aside.pop(place.task_id, None)
        queue = several.queues[place.terms]
        if queue[0] is not place:
            return
        while queue and self._places.get(queue[0].task_id) is not queue[0]:
            heapq.heappop(queue)  # it has left, or got another place
        if queue:
            self._new_heads[queue[0].task_id] = queue[0]
            return
        del several.queues[place.terms]
        if not several.queues:
            del self._batches[place.batch_id]

    def touch(self, batch_id: str) -> None:
        """Ask anew whether the batch's queues have their turn: something of it has changed."""
        held = self._batches.get(batch_id)
        if isinstance(held, _Several):
            while held.aside:
                self._take_back(held.aside.popitem()[1])
        elif held is not None and held.is_aside:
            self._take_back(held)

    def _take_back(self, place: Place) -> None:
        place.is_aside = False
        self._new_heads[place.task_id] = place

    def oldest(
        self, may_take: Callable[[Kind], bool], has_turn: Callable[[Place], bool]
    ) -> Iterator[Place]:
        """Yield, for each kind that may be taken, the first task of all that have their turn."""
        self._order_heads()
        return self._firsts(self._by_age, may_take, has_turn)

    def due(
        self, may_take: Callable[[Kind], bool], has_turn: Callable[[Place], bool]
    ) -> Iterator[Place]:
        """Yield, for each such kind, the head of the highest priority that must go first."""
        self._order_heads()
        return self._firsts(self._by_turn, may_take, has_turn)

    def _order_heads(self) -> None:
        for place in self._new_heads.values():
            if self._is_head(place):
                self._by_age[place.terms.kind].offer(place)
                self._by_turn[place.terms.kind].offer(place)
        self._new_heads.clear()

    def _firsts(
        self,
        kinds: dict[Kind, H],
        may_take: Callable[[Kind], bool],
        has_turn: Callable[[Place], bool],
    ) -> Iterator[Place]:
        for kind, heads in list(kinds.items()):
            if may_take(kind) and (first := self._first(heads, has_turn)) is not None:
                yield first
            if not heads:
                del kinds[kind]

    def _first(self, heads: Heads, has_turn: Callable[[Place], bool]) -> Place | None:
        while (place := heads.first()) is not None:
            if self._is_head(place):
                if has_turn(place):
                    return place
                self._set_aside(place)
            heads.drop_first()
        return None

    def _is_head(self, place: Place) -> bool:
        """Say whether it is the first of its queue, and that is not set aside."""
        held = self._batches.get(place.batch_id)
        if isinstance(held, _Several):
            queue = held.queues.get(place.terms)
            return queue is not None and queue[0] is place and not place.is_aside
        return held is place and not place.is_aside

    def _set_aside(self, place: Place) -> None:
        place.is_aside = True
        held = self._batches[place.batch_id]
        if isinstance(held, _Several):
            held.aside[place.task_id] = place
