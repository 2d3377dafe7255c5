"""One change to the ledger: what a commit is made of, and what a line of the journal says."""

from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, TypeAlias

import msgspec

from ledger.batch import Batch
from ledger.encoding import encode, prove_writable
from ledger.task import Json, Task

if TYPE_CHECKING:  # who changes the ledger without a loop does not load one
    from asyncio import Future

#: The meta section whose records say that a task (``key``) moved to ``archive/`` (``value``: the
#: month). It is never kept: applying such a record takes the task out of the state.
ARCHIVED = "archived"

#: The meta section of rows that are being taken from a table: by first task id, what is to become
#: of the row; ``task_ids`` in it are given and never given again.
CLAIMS = "claims"


class Meta(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A value of the ledger's ``meta`` part; ``value`` None removes the key.

    Sections: ``servers`` (client ids, drained), ``drops`` (accepted, not yet moved), ``claims``
    (rows of tables being taken; see ``CLAIMS``), ``tables`` (what is wrong with one), ``commands``
    (those in a row that were carried out), ``overwritten`` (rows of tables to be told anew),
    ``copies`` (what was seen of rows of tables that bear another one's id), ``absences`` (since
    when servers do not know prompts of ours), ``idempotency``, ``counters`` (of task ids, a day and
    prefix each; they follow from the ids seen and need no records), ``repairs`` (what `ledger
    repair` could not recover).
    """

    section: str
    key: str
    value: Json


Record: TypeAlias = Task | Batch | Meta


#: What a committer awaits.
Done: TypeAlias = "Future[None]"


class Cause(msgspec.Struct, frozen=True, gc=False):
    """Who changes what, and why; also as members of a JSON object. Made by ``cause_of``."""

    op: str  # noun.past_verb: task.accepted, task.submitted, batch.held
    actor: str
    reason: str | None
    evidence: Mapping[str, Json] | None
    author: bytes  # actor and op
    why: bytes  # reason and evidence


class Transaction(msgspec.Struct, frozen=True, gc=False):
    """Changes that count together or not at all; what a store writes is encoded once for all."""

    records: tuple[Record, ...]
    encoded: tuple[bytes, ...]  # the records as JSON, in the same order
    cause: Cause
    done: "Done | None" = None
    task: Task | None = None  # the one record of a change of one task, said by who made it so
    goes_on: bool = False  # that task does; see ``Overlay.add_task``

    @property
    def op(self) -> str:
        """What was done."""
        return self.cause.op

    @property
    def evidence(self) -> Mapping[str, Json] | None:
        """What speaks for it."""
        return self.cause.evidence


def as_json(value: object) -> bytes:
    """Return *value* as JSON, as a journal line holds it.

    Raises ValueError for what a store could not write.
    """
    if type(value) is Meta:
        prove_writable(value.value)
    return encode(value)


def cause_of(
    op: str, actor: str, reason: str | None = None, evidence: Mapping[str, Json] | None = None
) -> Cause:
    """Return the cause; raises ValueError as ``as_json``."""
    if reason is None and evidence is None:
        return _bare_cause(op, actor)  # as most are, and there are few of them
    return _cause(op, actor, reason, evidence)


def _cause(op: str, actor: str, reason: str | None, evidence: Mapping[str, Json] | None) -> Cause:
    known = None if evidence is None else dict(evidence)
    author = b'"actor":%b,"op":%b' % (as_json(actor), as_json(op))
    why = b'"reason":%b,"evidence":%b' % (as_json(reason), as_json(known))
    return Cause(op, actor, reason, known, author, why)


@lru_cache(maxsize=256)
def _bare_cause(op: str, actor: str) -> Cause:
    return _cause(op, actor, None, None)


def transaction_of(
    *records: Record,
    op: str,
    actor: str = "daemon",
    reason: str | None = None,
    evidence: Mapping[str, Json] | None = None,
) -> Transaction:
    """Return the transaction of these records; raises ValueError as ``as_json``."""
    encoded = tuple(as_json(record) for record in records)
    return Transaction(records, encoded, cause_of(op, actor, reason, evidence))
