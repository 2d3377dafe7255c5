"""Work in steps: a generator that yields wherever others may have their turn, and then returns."""

from collections.abc import Generator, Iterator
from typing import Generic, TypeVar

T = TypeVar("T")


class Steps(Generic[T]):
    """Yields each step; ``outcome`` is what came out of them, once there are no more."""

    outcome: T

    def __init__(self, steps: Generator[None, None, T]) -> None:
        self._steps = steps

    def __iter__(self) -> Iterator[None]:
        self.outcome = yield from self._steps


def at_once(steps: Generator[None, None, T]) -> T:
    """Return what comes out of *steps*, without giving way to anybody."""
    taken = Steps(steps)
    for _ in taken:
        pass
    return taken.outcome
