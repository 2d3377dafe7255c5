"""Waiting tasks in the order they are to run: highest priority first, then as accepted."""

import math
from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator
from typing import TypeAlias

import msgspec
from sortedcontainers import SortedList

#: So many of a batch lie in a plain list; a sorted one is quicker from here on, but costs a batch
#: of a few rows more than they do.
_FEW = 512


class Wait(msgspec.Struct, frozen=True, order=True, gc=False):
    """A waiting task's place in the line of its batch."""

    workflow_type: str
    urgency: float  # its priority, negated
    order: int  # in which it was accepted
    task_id: str
    is_blocked: bool


#: Those of one batch.
_Line: TypeAlias = list[Wait] | SortedList


class Waiting:
    """Who waits, by batch and workflow type."""

    def __init__(self) -> None:
        self._lines: dict[str, Wait | _Line] = {}  # mostly one: no list

    def add(self, batch_id: str, wait: Wait) -> None:
        """Take in a task of the batch."""
        held = self._lines.get(batch_id)
        if held is None:
            self._lines[batch_id] = wait
        elif isinstance(held, Wait):
            self._lines[batch_id] = sorted((held, wait))
        elif isinstance(held, SortedList):
            held.add(wait)
        elif len(held) < _FEW:
            insort(held, wait)
        else:
            self._lines[batch_id] = SortedList((*held, wait))

    def remove(self, batch_id: str, wait: Wait) -> None:
        """Let go of a task, given as it was added."""
        held = self._lines[batch_id]
        if isinstance(held, Wait):
            del self._lines[batch_id]
            return
        if isinstance(held, SortedList):
            held.remove(wait)
        else:
            del held[bisect_left(held, wait)]
        if not held:
            del self._lines[batch_id]

    def ids(self, batch_id: str, workflow_type: str) -> Iterator[str]:
        """Yield a batch's tasks of a type in their order, also while some come and go."""
        last = _before_all(workflow_type)
        while (wait := self._behind(batch_id, last)) is not None:
            if wait.workflow_type != workflow_type:
                return
            last = wait
            yield wait.task_id

    def types(self, batch_id: str) -> list[str]:
        """Return the workflow types that have waiting tasks in the batch."""
        types: list[str] = []
        last = _before_all("")
        while (wait := self._behind(batch_id, last)) is not None:
            types.append(wait.workflow_type)
            last = _behind_all(wait.workflow_type)
        return types

    def _behind(self, batch_id: str, last: Wait) -> Wait | None:
        """Return what comes next behind *last*, which may have left."""
        held = self._lines.get(batch_id, ())
        if isinstance(held, Wait):
            return held if held > last else None
        place = (
            held.bisect_right(last) if isinstance(held, SortedList) else bisect_right(held, last)
        )
        return held[place] if place < len(held) else None


def _before_all(workflow_type: str) -> Wait:
    return Wait(workflow_type, -math.inf, 0, "", is_blocked=False)


def _behind_all(workflow_type: str) -> Wait:
    return Wait(workflow_type, math.inf, 0, "", is_blocked=False)
