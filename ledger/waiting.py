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


#: Those of one batch that wait; mostly there is one, or none: no list.
Line: TypeAlias = Wait | list[Wait] | SortedList | None


def joined(line: Line, wait: Wait) -> Line:
    """Return the line, which may have changed in place, with one more."""
    if line is None:
        return wait
    if isinstance(line, Wait):
        return sorted((line, wait))
    if isinstance(line, SortedList):
        line.add(wait)
    elif len(line) < _FEW:
        insort(line, wait)
    else:
        return SortedList((*line, wait))
    return line


def left(line: Line, wait: Wait) -> Line:
    """Return the line, which may have changed in place, without one, given as it joined."""
    if line is None or isinstance(line, Wait):
        return None
    if isinstance(line, SortedList):
        line.remove(wait)
    else:
        del line[bisect_left(line, wait)]
    return line or None


def types(line: Line) -> Iterator[str]:
    """Yield the workflow types of those in line."""
    wait = behind(line, before_all(""))
    while wait is not None:
        yield wait.workflow_type
        wait = behind(line, _behind_all(wait.workflow_type))


def behind(line: Line, last: Wait) -> Wait | None:
    """Return who comes next behind *last*, which may have left."""
    if line is None or isinstance(line, Wait):
        return line if line is not None and line > last else None
    place = line.bisect_right(last) if isinstance(line, SortedList) else bisect_right(line, last)
    return line[place] if place < len(line) else None


def before_all(workflow_type: str) -> Wait:
    """Return what stands before all of a type."""
    return Wait(workflow_type, -math.inf, 0, "", is_blocked=False)


def _behind_all(workflow_type: str) -> Wait:
    return Wait(workflow_type, math.inf, 0, "", is_blocked=False)
