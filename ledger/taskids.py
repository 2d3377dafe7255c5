"""Task ids: ``img_`` or ``vid_``, the UTC day, a running number of that day, never used twice."""

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache, partial

from ledger.task import Json

_COUNTER = re.compile(r"(?:img|vid)_\d{8}")
_LEAST_DIGITS = 6


def counter_of(workflow_type: str, at: str) -> str:
    """Return the name of the counter for a task of this type made at *at*: ``img_20261121``."""
    return f"{'vid' if makes_videos(workflow_type) else 'img'}_{at[:10].replace('-', '')}"


def makes_videos(workflow_type: str) -> bool:
    """Say whether tasks of this type are called ``vid_``, by its name."""
    return "视频" in workflow_type or "video" in workflow_type.lower()


def task_id(counter: str, number: int) -> str:
    """Return the id that *number* of *counter* stands for."""
    return f"{counter}_{number:0{_LEAST_DIGITS}d}"


def number_of(identifier: str) -> tuple[str, int] | None:
    """Return counter and number of an id, None for an id of another form."""
    counter, _, number = identifier.rpartition("_")
    if len(number) < _LEAST_DIGITS or not number.isdecimal() or not _is_counter(counter):
        return None
    return counter, int(number)


@lru_cache(maxsize=64)  # of very many ids there are a few
def _is_counter(text: str) -> bool:
    return _COUNTER.fullmatch(text) is not None


class Numbering:
    """Gives ids never given before; one per process that writes."""

    def __init__(self) -> None:
        self._given: dict[str, int] = {}

    def take(
        self, counters: Mapping[str, Json], workflow_type: str, at: str, count: int
    ) -> Iterator[str]:
        """Return the next *count* ids after those in *counters* and those taken here before.

        They are taken at once, and each is made when it is asked for.
        """
        counter = counter_of(workflow_type, at)
        seen = counters.get(counter, 0)
        first = max(seen if isinstance(seen, int) else 0, self._given.get(counter, 0)) + 1
        self._given[counter] = first + count - 1
        return map(partial(task_id, counter), range(first, first + count))
