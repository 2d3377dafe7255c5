"""Faults on order: which, how likely or how often, aimed at whom."""

import random
from collections import Counter
from collections.abc import Mapping
from enum import StrEnum

import msgspec


class Fault(StrEnum):
    """What can go wrong; the comment says when the dice are thrown."""

    LOST_ANSWER = "lost_answer"  #: POST /prompt: accepted, then the connection drops
    ERROR_BEFORE_ACCEPT = "error_before_accept"  #: POST /prompt: 500, nothing queued
    ERROR_AFTER_ACCEPT = "error_after_accept"  #: POST /prompt: 500, but queued
    SLOW_ACCEPT = "slow_accept"  #: POST /prompt: queued and answered after some seconds
    NODE_ERRORS_IN_200 = "node_errors_in_200"  #: POST /prompt: 200, but an output was dropped
    REFUSE = "refuse"  #: POST /prompt: dropped, then nobody listens for some seconds
    CACHED_SUCCESS = "cached_success"  #: execution: nothing runs, an older file is reported
    SLOW = "slow"  #: execution: takes some seconds more
    OUT_OF_MEMORY = "out_of_memory"  #: execution: fails with torch.OutOfMemoryError
    EXECUTION_ERROR = "execution_error"  #: execution: fails in a node
    RESTART = "restart"  #: execution: the server dies in the middle and comes back empty
    HALF_WRITTEN_OUTPUT = "half_written_output"  #: execution: it dies while writing the result
    TRUNCATED_VIEW = "truncated_view"  #: GET /view: the connection is cut in the middle
    CORRUPT_VIEW = "corrupt_view"  #: GET /view: the right length of garbage
    SILENT_WEBSOCKET = "silent_websocket"  #: /ws: nothing after the first frame
    DEAF_RECONNECT = "deaf_reconnect"  #: /ws: the same, for a client id that was there before
    MISSING_CLASS = "missing_class"  #: any time: the node class named as the target is unknown


#: How long a fault that takes time takes, unless said otherwise.
DEFAULT_SECONDS = 2.0
_TIMED = {Fault.SLOW, Fault.SLOW_ACCEPT, Fault.REFUSE, Fault.RESTART, Fault.HALF_WRITTEN_OUTPUT}
#: A restart is short unless said otherwise.
_RESTART_SECONDS = 0.1


class Rule(msgspec.Struct, kw_only=True):
    """One order: strike with *probability*, or the *next* so many times; no target: anybody."""

    fault: Fault
    target: str | None = None
    probability: float = 1.0
    next: int | None = None  # how many strikes are left; None: no end
    seconds: float = 0.0


class Faults:
    """The orders in force; may be changed at any time while the server runs.

    Targets: a task id, a prompt id or an input file's name for faults of prompts, a file name for
    those of ``/view``, a client id for those of ``/ws``, a class name for ``missing_class``.
    """

    def __init__(
        self, rates: Mapping[str, float] | None = None, *, seed: int | None = None
    ) -> None:
        """Order each ``NAME`` or ``NAME:TARGET`` of *rates* with its probability.

        ``NAME.seconds`` sets how long that fault takes. Raises ValueError for an unknown name.
        """
        self._rules: list[Rule] = []
        self._dice = random.Random(seed)
        self.struck: Counter[str] = Counter()
        rates = rates or {}
        for key, rate in rates.items():
            if not key.endswith(".seconds"):
                name, _, target = key.partition(":")
                self.set(name, rate, target=target or None, seconds=rates.get(f"{name}.seconds"))
            elif key.removesuffix(".seconds") not in {k.partition(":")[0] for k in rates}:
                raise ValueError(f"{key} without the fault {key.removesuffix('.seconds')}")

    def set(
        self,
        name: str,
        probability: float = 1.0,
        *,
        target: str | None = None,
        seconds: float | None = None,
    ) -> None:
        """Let a fault strike with *probability* from now on, in place of an earlier order."""
        if not 0 <= probability <= 1:
            raise ValueError(f"the probability of {name} lies between 0 and 1, not {probability}")
        place = (_fault(name), target)
        self._rules = [r for r in self._rules if r.next or (r.fault, r.target) != place]
        if probability > 0:
            self._order(name, target, seconds, probability=probability)

    def next(
        self,
        name: str,
        times: int = 1,
        *,
        target: str | None = None,
        seconds: float | None = None,
    ) -> None:
        """Let a fault strike the next *times* it can, then no more."""
        self._order(name, target, seconds, times=times)

    def clear(self, name: str | None = None, *, target: str | None = None) -> None:
        """End all orders, or those of one fault (and one target)."""
        fault = None if name is None else _fault(name)
        self._rules = [
            rule
            for rule in self._rules
            if (fault is not None and rule.fault is not fault)
            or (target is not None and rule.target != target)
        ]

    def strike(self, fault: Fault, *targets: str) -> Rule | None:
        """Throw the dice for *fault* on *targets*; return the rule that struck, and count it."""
        for rule in self._rules:
            if rule.fault is not fault or (rule.target is not None and rule.target not in targets):
                continue
            if rule.next is None and self._dice.random() >= rule.probability:
                continue
            if rule.next is not None:
                rule.next -= 1
                if rule.next <= 0:
                    self._rules.remove(rule)
            self.struck[fault.value] += 1
            return rule
        return None

    def missing(self, class_name: str) -> bool:
        """Say whether a node class is to be unknown; this throws no dice."""
        return any(r.fault is Fault.MISSING_CLASS and r.target == class_name for r in self._rules)

    def rules(self) -> tuple[Rule, ...]:
        """Return the orders in force."""
        return tuple(self._rules)

    def _order(
        self,
        name: str,
        target: str | None,
        seconds: float | None,
        *,
        probability: float = 1.0,
        times: int | None = None,
    ) -> None:
        fault = _fault(name)
        if fault is Fault.MISSING_CLASS and target is None:
            raise ValueError("missing_class needs a target: the name of the node class")
        if seconds is None and fault in _TIMED:
            short = fault in {Fault.RESTART, Fault.HALF_WRITTEN_OUTPUT}
            seconds = _RESTART_SECONDS if short else DEFAULT_SECONDS
        rule = Rule(fault=fault, target=target, probability=probability, next=times)
        rule.seconds = seconds or 0.0
        self._rules.append(rule)


def _fault(name: str) -> Fault:
    try:
        return Fault(name.replace("-", "_"))
    except ValueError:
        raise ValueError(f"no fault is called {name}; there are {', '.join(Fault)}") from None
