"""One change to the ledger: what a commit is made of, and what a line of the journal says."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, TypeAlias

import msgspec
import orjson

from ledger.batch import Batch
from ledger.encoding import NO_REASON, encode, encode_author, encode_why
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


class Transaction(msgspec.Struct, gc=False):
    """Changes that count together or not at all, with who made them and why.

    Made by ``transaction_of`` or ``transaction_with``: what a store writes is encoded once for all.
    Nothing of it changes but ``done``, set once, when it goes to the disk.
    """

    records: tuple[Record, ...]
    op: str  # noun.past_verb: task.accepted, task.submitted, batch.held
    actor: str
    reason: str | None
    evidence: Mapping[str, Json] | None
    encoded: tuple[bytes, ...]  # the records as JSON, in the same order
    author: bytes  # actor and op, as members of a JSON object
    why: bytes  # reason and evidence, likewise
    done: "Done | None" = None


def as_json(value: object) -> bytes:
    """Return *value* as JSON, as a journal line holds it.

    Raises ValueError for what a store could not write, such as half a surrogate pair.
    """
    try:
        if type(value) is Meta:
            orjson.dumps(value.value)  # the snapshot's writer; it is stricter with great numbers
        return encode(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"not to be written as JSON: {error}") from error


def transaction_of(
    *records: Record,
    op: str,
    actor: str = "daemon",
    reason: str | None = None,
    evidence: Mapping[str, Json] | None = None,
) -> Transaction:
    """Return the transaction of these records; raises ValueError as ``as_json``."""
    encoded = tuple(as_json(record) for record in records)
    return transaction_with(records, encoded, op, actor, reason=reason, evidence=evidence)


def transaction_with(
    records: tuple[Record, ...],
    encoded: tuple[bytes, ...],
    op: str,
    actor: str,
    *,
    reason: str | None,
    evidence: Mapping[str, Json] | None,
) -> Transaction:
    """Return the same of records that ``as_json`` has *encoded* already."""
    try:
        author = encode_author(actor, op)
        why = NO_REASON if reason is None and evidence is None else encode_why(reason, evidence)
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"not to be written as JSON: {error}") from error
    return Transaction(records, op, actor, reason, evidence, encoded, author, why)
