"""Old formats of the snapshot, brought up to date one step at a time."""

from collections.abc import Callable, Mapping

import orjson

from ledger.errors import LedgerDamaged, LedgerTooNew
from ledger.task import Json

#: The format this version writes.
FORMAT = 1

#: From each older format to the next one: document in, document out.
STEPS: dict[int, Callable[[dict[str, Json]], dict[str, Json]]] = {}


def upgraded(
    document: bytes,
    found: int,
    *,
    steps: Mapping[int, Callable[[dict[str, Json]], dict[str, Json]]] = STEPS,
    wanted: int = FORMAT,
) -> bytes:
    """Return *document* of format *found* in the wanted format.

    Raises LedgerTooNew for a newer format, LedgerDamaged for one that never was.
    """
    if found == wanted:
        return document
    if found > wanted:
        raise LedgerTooNew(found, wanted)
    content = orjson.loads(document)
    for step in range(found, wanted):
        if step not in steps:
            raise LedgerDamaged(f"the ledger's format {found} is none that ever was")
        content = steps[step](content) | {"format": step + 1}
    return orjson.dumps(content)
