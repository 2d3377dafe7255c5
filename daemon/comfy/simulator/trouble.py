"""What goes wrong inside an execution: how it is told, and what was ordered for this one."""

import traceback

import msgspec

from daemon.comfy.simulator.faults import Fault, Faults

_OUT_OF_MEMORY = (
    "Allocation on device 0 would exceed allowed memory. (out of memory)\n"
    "Currently allocated     : 22.31 GiB\n"
    "This error means you ran out of memory on your GPU.\n\n"
    "TIPS: If the workflow worked before you might have accidentally set the batch_size to a "
    "large number."
)
#: Shaped like the real one: a traceback names paths of the server, which no table may show.
_TRACE = ['  File "/opt/ComfyUI/execution.py", line 545, in execute\n']


class Interrupted(Exception):
    """Somebody asked to stop this prompt."""


class NodeFailed(Exception):
    """A node failed; carries what the server tells about it."""

    def __init__(self, kind: str, message: str, trace: list[str]) -> None:
        super().__init__(message)
        self.kind, self.message, self.trace = kind, message, trace

    @classmethod
    def of(cls, error: Exception) -> "NodeFailed":
        """Return the failure that *error* of a node function is."""
        kind = type(error)
        plain = kind.__module__ == "builtins"
        name = kind.__qualname__ if plain else f"{kind.__module__}.{kind.__qualname__}"
        return cls(name, f"{error}\n", traceback.format_tb(error.__traceback__))


class Trouble(msgspec.Struct, frozen=True, kw_only=True):
    """What the dice brought for one execution; it strikes at the middle node."""

    slow_seconds: float = 0.0
    restart_seconds: float | None = None
    half_written_seconds: float | None = None  # of being away, after half of a file is written
    failure: str | None = None  # a Fault

    def fail(self) -> None:
        """Raise the ordered failure, if there is one."""
        if self.failure == Fault.OUT_OF_MEMORY:
            raise NodeFailed("torch.OutOfMemoryError", _OUT_OF_MEMORY, _TRACE)
        if self.failure == Fault.EXECUTION_ERROR:
            raise NodeFailed("RuntimeError", "The simulator was told to fail here.\n", _TRACE)


def throw_dice(faults: Faults, targets: tuple[str, ...]) -> Trouble:
    """Return what strikes this execution; each strike is counted."""
    slow = faults.strike(Fault.SLOW, *targets)
    restart = faults.strike(Fault.RESTART, *targets)
    half_written = faults.strike(Fault.HALF_WRITTEN_OUTPUT, *targets)
    failures = (Fault.OUT_OF_MEMORY, Fault.EXECUTION_ERROR)
    return Trouble(
        slow_seconds=slow.seconds if slow else 0.0,
        restart_seconds=restart.seconds if restart else None,
        half_written_seconds=half_written.seconds if half_written else None,
        failure=next((fault for fault in failures if faults.strike(fault, *targets)), None),
    )
