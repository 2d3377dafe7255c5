"""A diagnosis: how a task in process stands, and why it is taken for stuck. Pure."""

from collections.abc import Mapping
from enum import StrEnum

import msgspec

from config.settings import Workflow, runtime_limit_minutes
from daemon.words import Words
from ledger.task import Task


class Reason(StrEnum):
    """Why a task is taken for stuck; each has its sentence under ``stuck.<value>``."""

    ABSENT = "absent"  #: neither queue nor history knows it
    ENDED = "ended"  #: it has ended, and the ledger does not know
    OVER_LIMIT = "over_limit"  #: executed for longer than it may; still in the queue
    NO_PROGRESS = "no_progress"  #: executed, but silent
    NOT_FETCHED = "not_fetched"  #: it ended well; its files do not arrive
    UNREACHABLE = "unreachable"  #: its server does not answer: unknown
    UNKNOWN_SERVER = "unknown_server"  #: its server is not in the settings: unknown


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """How long an execution may take, in minutes: asked for, else the workflow's, else default."""

    workflows: Mapping[str, Workflow]
    default_minutes: float
    asked_minutes: float | None = None

    def minutes_for(self, task: Task) -> float:
        """Return the limit of the task."""
        if self.asked_minutes is not None:
            return self.asked_minutes
        return runtime_limit_minutes(self.workflows, task.workflow_type, self.default_minutes)


class Diagnosis(msgspec.Struct, frozen=True, kw_only=True):
    """How one task in process really stands."""

    task: Task
    running: bool | None  # None: nobody can know now
    runtime_minutes: float = 0.0  # of its execution; waiting in the server's queue is none
    limit_minutes: float = 0.0
    reason: Reason | None = None
    for_minutes: float | None = None  # silent, unreachable, not fetched
    how: str | None = None  # what the server says of it

    def sentence(self, words: Words) -> str | None:
        """Return why the task is stuck, in words; None when it is not."""
        if self.reason is None:
            return None
        key = f"stuck.{self.reason}"
        if self.reason is Reason.UNREACHABLE and self.for_minutes is not None:
            key = "stuck.unreachable_for"
        minutes = self.runtime_minutes if self.for_minutes is None else self.for_minutes
        return words(
            key,
            server=self.task.server or "?",
            minutes=round(minutes, 1),
            limit=round(self.limit_minutes, 1),
            how=self.how,
        )
