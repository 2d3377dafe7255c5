"""What makes two rows the same: their values, the bytes of their pictures, their occurrence."""

import hashlib
import unicodedata
from collections.abc import Mapping

import orjson

from daemon.intake.columns import as_text
from daemon.intake.rows import WantedRow
from ledger.task import InputFile, Json


def likeness(row: WantedRow, inputs: Mapping[str, InputFile]) -> str:
    """Return a hash that rows share when their values and their pictures' bytes are the same.

    Values are compared as people see them: 5 and "5" are the same, so that a row is recognised
    whether it comes as CSV or XLSX. Of a picture only the bytes count, not what it is called.
    """
    values = {key: _normal(value) for key, value in row.values.items() if key not in inputs}
    values["workflow_type"] = "+".join(row.workflow_types)
    values["priority"] = str(row.priority)
    pictures = {column: file.sha256 for column, file in inputs.items()}
    return hashlib.sha256(orjson.dumps([values, pictures], option=orjson.OPT_SORT_KEYS)).hexdigest()


def fingerprint(likeness_of_row: str, occurrence: int) -> str:
    """Return what the ledger remembers: the *occurrence*-th (1, 2, …) such row of a drop."""
    return hashlib.sha256(f"{likeness_of_row}:{occurrence}".encode()).hexdigest()


def _normal(value: Json) -> str:
    text = as_text(value)
    if text is None:
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()
    return text if text.isascii() else unicodedata.normalize("NFC", text)
