"""Warnings that repeat themselves are told once, and later how often they came again."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator

from structlog.typing import EventDict

from daemon.log_lines import Lines, Stream

#: For so long after it was told, the same warning is only counted.
QUIET_SECONDS = 60.0
#: Warnings remembered at a time; the oldest is told with its count when there are more.
REMEMBERED_WARNINGS = 1000
#: Differs each time, or tells how the warning came; does not make it another one.
_NOT_ITS_OWN = frozenset({"timestamp", "level", "logger"})
_CALMED = frozenset({"warning", "error", "critical"})


class CalmLog:
    """Writes to a stream; of equal warnings the first, then one line with ``repeated``.

    Equal are warnings and errors of the same event whose ids and other texts are equal; numbers
    may differ. What is less than a warning is always written: it tells what happened, in order.
    """

    def __init__(
        self,
        stream: Stream,
        render: Callable[[EventDict], str],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.lines = Lines(stream)
        self._render = render
        self._monotonic = monotonic
        self._told: OrderedDict[object, _Told] = OrderedDict()  # by when they were told
        self._one_at_a_time = threading.RLock()

    def tell(self, **event: object) -> None:
        """Write *event*, or count it; first what has been quiet for long enough."""
        with self._one_at_a_time:
            now = self._monotonic()
            for repeated in self._due(now):
                self._write(repeated)
            if event["level"] in _CALMED:
                key = _key(event)
                if (told := self._told.get(key)) is not None:
                    told.count += 1
                    told.last = event
                    return
                self._told[key] = _Told(now)
            self._write(event)

    debug = info = warning = error = critical = tell  # the names that structlog calls it by

    def close(self) -> None:
        """Write what was only counted so far."""
        with self._one_at_a_time:
            for repeated in self._due(float("inf")):
                self._write(repeated)

    def _due(self, now: float) -> Iterator[EventDict]:
        while self._told:
            key, told = next(iter(self._told.items()))
            if now - told.at < QUIET_SECONDS and len(self._told) <= REMEMBERED_WARNINGS:
                return
            del self._told[key]
            if told.last is not None:
                yield {**told.last, "repeated": told.count}

    def _write(self, event: EventDict) -> None:
        self.lines.put(self._render(event) + "\n", at_once=event["level"] in _CALMED)


class _Told:
    """When a warning was told, and what came since."""

    def __init__(self, at: float) -> None:
        self.at = at
        self.count = 0
        self.last: EventDict | None = None


def _key(event: EventDict) -> object:
    return frozenset(
        (name, str(value))
        for name, value in event.items()
        if name not in _NOT_ITS_OWN and (isinstance(value, bool) or not _is_number(value))
    )


def _is_number(value: object) -> bool:
    return isinstance(value, int | float)
