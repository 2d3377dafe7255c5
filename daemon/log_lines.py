"""Lines of the log on their way to a stream; those of one turn of the loop are one write."""

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Protocol, TypeAlias

#: How a loop is asked to call something when its turn is over.
CallSoon: TypeAlias = Callable[[Callable[[], None]], object]


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


class Lines:
    """Writes lines in the order in which they are put; a stream nobody reads stops nothing."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._held: list[str] = []
        self._turns_of: tuple[int, CallSoon] | None = None  # the loop's thread, and how to ask it
        self._is_asked = False
        self._one_at_a_time = threading.RLock()

    def put(self, line: str, *, at_once: bool = True) -> None:
        """Write *line* and all before it; not *at_once*: at the end of the turn, if it has one."""
        with self._one_at_a_time:
            self._held.append(line)
            if at_once or self._turns_of is None or self._turns_of[0] != threading.get_ident():
                self._write()
            elif not self._is_asked:
                self._is_asked = True
                self._turns_of[1](self._end_turn)

    @contextlib.contextmanager
    def by_turns(self, call_soon: CallSoon) -> Iterator[None]:
        """Within the block this thread's loop has turns; a kill loses what the last one has told.

        Each write lets go of the interpreter's lock, and then has to wait for it.
        """
        self._turns_of = (threading.get_ident(), call_soon)
        try:
            yield
        finally:
            self._turns_of = None
            self._end_turn()

    def _end_turn(self) -> None:
        with self._one_at_a_time:
            self._is_asked = False
            self._write()

    def _write(self) -> None:
        text = "".join(self._held)
        self._held.clear()
        with contextlib.suppress(OSError, ValueError):
            self._stream.write(text)
            self._stream.flush()
