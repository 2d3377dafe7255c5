"""What is answered of a task's story; who only reads one loads not how it is told."""

from collections.abc import Mapping

import msgspec

from ledger.task import Json


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """One change of a task, in a sentence, with who made it and from what evidence."""

    seq: int
    at: str
    actor: str
    who: str  # the actor as people call it
    op: str
    text: str
    because: tuple[str, ...] = ()
    reason: str | None = None
    evidence: Mapping[str, Json] | None = None


class Story(msgspec.Struct, frozen=True, kw_only=True):
    """How a task stands and how it came to that, oldest first: `why` and the HTTP door tell it."""

    task_id: str
    batch_id: str
    row_number: str | int
    workflow_type: str
    status: str
    stage: str
    requested: str | None  # what an operator wants of it and is not done yet
    retry_count: int
    story: list[Event]
