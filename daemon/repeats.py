"""Warnings that repeat themselves are told once, and later how often they came again."""

import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from copy import copy
from typing import Protocol

#: For so long after it was told, the same warning is only counted.
QUIET_SECONDS = 60.0
#: Warnings remembered at a time; the oldest is told with its count when there are more.
REMEMBERED = 1000
#: Differs each time, or tells how the warning came; does not make it another one.
_NOT_ITS_OWN = frozenset({"timestamp", "level", "logger"})


class Stream(Protocol):
    """Where logs go."""

    def write(self, text: str, /) -> object:
        """Write *text*."""
        ...

    def flush(self) -> None:
        """Write out what is held back."""
        ...

    def isatty(self) -> bool:
        """Say whether a person reads it."""
        ...


class CalmHandler(logging.StreamHandler[Stream]):
    """Writes to a stream; of equal warnings the first, then one line with ``repeated``.

    Equal are warnings and errors of the same event whose ids and other texts are equal; numbers
    may differ. What is less than a warning is always written: it tells what happened, in order.
    """

    def __init__(self, stream: Stream, monotonic: Callable[[], float] = time.monotonic) -> None:
        super().__init__(stream)
        self._monotonic = monotonic
        self._told: OrderedDict[object, _Told] = OrderedDict()  # by when they were told

    def emit(self, record: logging.LogRecord) -> None:
        """Write *record*, or count it; first what has been quiet for long enough."""
        now = self._monotonic()
        for repeated in self._due(now):
            super().emit(repeated)
        if record.levelno < logging.WARNING:
            super().emit(record)
            return
        key = _key(record)
        if (told := self._told.get(key)) is not None:
            told.count += 1
            told.last = record
            return
        self._told[key] = _Told(now)
        super().emit(record)

    def close(self) -> None:
        """Write what was only counted so far."""
        for repeated in self._due(float("inf")):
            super().emit(repeated)
        super().close()

    def _due(self, now: float) -> Iterator[logging.LogRecord]:
        while self._told:
            key, told = next(iter(self._told.items()))
            if now - told.at < QUIET_SECONDS and len(self._told) <= REMEMBERED:
                return
            del self._told[key]
            if told.last is not None:
                yield _with_count(told.last, told.count)


class _Told:
    """When a warning was told, and what came since."""

    def __init__(self, at: float) -> None:
        self.at = at
        self.count = 0
        self.last: logging.LogRecord | None = None


def _key(record: logging.LogRecord) -> object:
    if not isinstance(record.msg, Mapping):  # a foreign library
        return (record.name, record.getMessage())
    told = record.msg.items()
    return frozenset(
        (name, str(value))
        for name, value in told
        if name not in _NOT_ITS_OWN and (isinstance(value, bool) or not _is_number(value))
    )


def _is_number(value: object) -> bool:
    return isinstance(value, int | float)


def _with_count(record: logging.LogRecord, count: int) -> logging.LogRecord:
    counted = copy(record)
    if isinstance(record.msg, Mapping):
        counted.msg = {**record.msg, "repeated": count}
    else:
        counted.msg, counted.args = f"{record.getMessage()} (repeated {count} times)", ()
    return counted
