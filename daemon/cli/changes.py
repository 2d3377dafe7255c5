"""The changes of a task as `--json` shows them: the document that the HTTP door answers."""

from collections.abc import Sequence

import msgspec

from daemon.web.task_documents import Change
from ledger.jsondir.journal import Line
from ledger.task import Json

#: How a line is kept (``n``, ``tx``, ``crc``) is nobody's business but the journal's.
_TOLD = tuple(field.encode_name for field in msgspec.structs.fields(Change))


def as_documents(lines: Sequence[Line]) -> list[dict[str, Json]]:
    """Return each line as a ``Change`` of the HTTP door."""
    return [_document(line) for line in lines]


def _document(line: Line) -> dict[str, Json]:
    told = {name: getattr(line, name) for name in _TOLD}
    if told["task"] is not None:  # a line keeps its record encoded
        told["task"] = msgspec.json.decode(told["task"])
    return {name: msgspec.to_builtins(value) for name, value in told.items()}
