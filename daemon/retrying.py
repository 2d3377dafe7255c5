"""Whose fault a failure is and what follows from it: one table, and the delay before a retry."""

from collections.abc import Callable

import msgspec

#: Losses by the server after which a task is taken for the cause of the crashes (``poison``).
POISON_AFTER_LOSSES = 3
#: The first retry waits this long; most passing faults (a driver hiccup, a full disk being
#: cleaned) are not over sooner.
FIRST_DELAY_SECONDS = 5.0
#: No retry waits longer, so that a server mended in the morning is used in the morning.
LONGEST_DELAY_SECONDS = 300.0
#: Share of the delay that chance may add; below 1, so that every delay exceeds the one before.
JITTER = 0.5


class FailureClass(msgspec.Struct, frozen=True, kw_only=True):
    """The policy for one kind of failure."""

    kind: str
    retried: bool = False  # the task goes on without a person
    counts_as_retry: bool = False  # such a going-on uses up one of ``max_auto_retries``
    counts_as_failure: bool = False  # a final one counts for ``max_consecutive_failures``


SERVER_UNREACHABLE = FailureClass(kind="server_unreachable", retried=True)
REJECTED = FailureClass(kind="rejected", counts_as_failure=True)
MISSING_NODE = FailureClass(kind="missing_node", retried=True)
MISSING_MODEL = FailureClass(kind="missing_model", retried=True)
#: The server lost a picture we had uploaded; the next attempt uploads it again.
MISSING_INPUT = FailureClass(kind="missing_input", retried=True, counts_as_retry=True)
OUT_OF_MEMORY = FailureClass(
    kind="out_of_memory", retried=True, counts_as_retry=True, counts_as_failure=True
)
EXECUTION_ERROR = FailureClass(
    kind="execution_error", retried=True, counts_as_retry=True, counts_as_failure=True
)
#: Somebody pressed stop on the server: their wish, not ours to undo.
INTERRUPTED = FailureClass(kind="interrupted")
TIMEOUT = FailureClass(kind="timeout", retried=True, counts_as_retry=True)
BAD_INPUT = FailureClass(kind="bad_input")
BAD_OUTPUT = FailureClass(
    kind="bad_output", retried=True, counts_as_retry=True, counts_as_failure=True
)
#: Has a counter of its own, see ``POISON_AFTER_LOSSES``.
LOST_BY_SERVER = FailureClass(kind="lost_by_server", retried=True)
POISON = FailureClass(kind="poison")

FAILURE_CLASSES: dict[str, FailureClass] = {
    each.kind: each
    for each in (
        SERVER_UNREACHABLE,
        REJECTED,
        MISSING_NODE,
        MISSING_MODEL,
        MISSING_INPUT,
        OUT_OF_MEMORY,
        EXECUTION_ERROR,
        INTERRUPTED,
        TIMEOUT,
        BAD_INPUT,
        BAD_OUTPUT,
        LOST_BY_SERVER,
        POISON,
    )
}


def failure_class(kind: str) -> FailureClass:
    """Return the policy for *kind*; one we do not know is treated like an execution error."""
    return FAILURE_CLASSES.get(kind, EXECUTION_ERROR)


def retried_again(kind: str, auto_retries: int, max_auto_retries: int) -> bool:
    """Say whether a task that failed so goes on by itself, *auto_retries* lying behind it."""
    policy = failure_class(kind)
    return policy.retried and not (policy.counts_as_retry and auto_retries >= max_auto_retries)


def retry_delay_seconds(attempt: int, random: Callable[[], float]) -> float:
    """Return how long to wait after failed attempt number *attempt* (1 = the first).

    It doubles each time up to ``LONGEST_DELAY_SECONDS``; *random* gives a number of [0, 1) that
    spreads tasks which failed together.
    """
    doublings = min(max(attempt, 1) - 1, 32)
    delay_seconds = min(FIRST_DELAY_SECONDS * 2.0**doublings, LONGEST_DELAY_SECONDS)
    return delay_seconds * (1 + JITTER * random())
