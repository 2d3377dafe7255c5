"""The changes of a task as `--json` shows them: the journal's lines with their records readable."""

from collections.abc import Sequence

import msgspec

from ledger.jsondir.journal import Line
from ledger.task import Json


def as_documents(lines: Sequence[Line]) -> list[dict[str, Json]]:
    """Return each line as the journal writes it; what a line does not say is left out."""
    return [_document(line) for line in lines]


def _document(line: Line) -> dict[str, Json]:
    said = {name: getattr(line, name) for name in line.__struct_fields__}
    for name in ("task", "batch"):  # a line keeps its record encoded
        if said[name] is not None:
            said[name] = msgspec.json.decode(said[name])
    always = ("reason", "evidence")
    return {
        name: msgspec.to_builtins(value)
        for name, value in said.items()
        if value is not None or name in always
    }
