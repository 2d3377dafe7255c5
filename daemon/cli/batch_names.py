"""Which batch is meant: by its id, its name, or the unique beginning of its id."""

from collections.abc import Iterable
from typing import Protocol

from daemon.actions.errors import ActionError
from ledger.errors import UnknownRecord

_SHOWN_BATCHES = 5


class Named(Protocol):
    """A batch as far as its names go."""

    @property
    def batch_id(self) -> str: ...  # noqa: D102 - as in Batch
    @property
    def name(self) -> str: ...  # noqa: D102 - as in Batch


def batch_meant(batches: Iterable[Named], given: str) -> str:
    """Return the id of the one batch that *given* means.

    Raises UnknownRecord for none, ActionError ``ambiguous_batch`` for several.
    """
    ids: list[str] = []
    found: list[str] = []
    for batch in batches:
        ids.append(batch.batch_id)
        if given and batch.name == given:
            found.append(batch.batch_id)
    if given in ids:
        return given
    found = found or [one for one in ids if given and one.startswith(given)]
    if not found:
        raise UnknownRecord("batch", given)
    if len(found) > 1:
        shown = ", ".join(found[-_SHOWN_BATCHES:])
        raise ActionError("ambiguous_batch", 400, given=given, batches=shown, count=len(found))
    return found[0]
