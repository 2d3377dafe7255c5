"""What time it is, told without an event loop; whoever waits, too, has a ``clock``."""

import time
from datetime import UTC, datetime
from typing import Protocol


class Timepiece(Protocol):
    """Tells the time."""

    def now(self) -> datetime:
        """Return the present moment, aware, in UTC."""
        ...

    def monotonic(self) -> float:
        """Return seconds that never go back; only differences mean something."""
        ...


class MachineTime:
    """The machine's own time."""

    def now(self) -> datetime:
        """Return the present moment, aware, in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Return the machine's monotonic seconds."""
        return time.monotonic()
