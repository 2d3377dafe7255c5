"""What of a change must be sent to a Bitable: the cells that do not hold it yet; pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from daemon.feishu.bitable import FieldType, Record
from daemon.tables.cells import Change, Outcome, Result, Row
from daemon.tables.feishu_rows import BitableColumns
from daemon.tables.feishu_values import Unfit, attached, is_same, tokens_of, written
from ledger.task import Json


@dataclass
class BitablePlan:
    """A change, what becomes of it, and the cells to send by heading (none: nothing to do)."""

    change: Change
    outcome: Outcome
    fields: dict[str, Json] = field(default_factory=dict)
    attached: set[str] = field(default_factory=set)  # tokens of ours that the record lacks


def key_of(change: Change) -> str:
    """Return the record id of the row that *change* is for."""
    return change.row if isinstance(change.row, str) else change.row.key or ""


def plan(change: Change, records: Mapping[str, Record], known: BitableColumns) -> BitablePlan:
    """Return what is to be sent to the record of *records* that *change* is for.

    GONE or MOVED when there is none, or none that still is as it was read.
    """
    record = records.get(key_of(change))
    if record is None:
        by_key = isinstance(change.row, str)
        return BitablePlan(change, Outcome(result=Result.GONE if by_key else Result.MOVED))
    if isinstance(change.row, Row) and known.row(record).mark != change.row.mark:
        return BitablePlan(change, Outcome(result=Result.MOVED))
    return _cells(change, record, known)


def _cells(change: Change, record: Record, known: BitableColumns) -> BitablePlan:
    """Return the cells of *change* that *record* does not hold yet; columns it lacks are left out.

    Of a value that the column does not take the outcome is REFUSED, and nothing is sent.
    """
    cells: dict[str, Json] = {}
    added: set[str] = set()
    for key, value in change.cells.items():
        heading = known.columns.headings.get(key)
        if heading is None:
            continue
        column, found = known.fields[heading], record.fields.get(heading)
        if column.type == FieldType.ATTACHMENT and (value is None or isinstance(value, tuple)):
            if (files := attached(found, value or ())) is not None:
                cells[heading] = files
                added |= tokens_of(files) - tokens_of(found)
            continue
        try:
            if not is_same(column, key, found, value):
                cells[heading] = written(column, key, value)
        except Unfit as unfit:
            return BitablePlan(change, Outcome(result=Result.REFUSED, trouble=unfit.trouble))
    return BitablePlan(change, Outcome(result=Result.WRITTEN), cells, added)
