"""What of a change must be sent to a Bitable: the cells that do not hold it yet; pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from daemon.feishu.bitable import Field, FieldType, Record
from daemon.tables.cells import Change, Outcome, Result
from daemon.tables.columns import Columns
from daemon.tables.feishu_values import Unfit, attached, is_same, written
from ledger.task import Json


@dataclass
class Plan:
    """A change, what becomes of it, and the cells to send by heading (none: nothing to do)."""

    change: Change
    outcome: Outcome
    fields: dict[str, Json] = field(default_factory=dict)


def plan(change: Change, record: Record, columns: Columns, fields: Mapping[str, Field]) -> Plan:
    """Return the cells of *change* that *record* does not hold yet; columns it lacks are left out.

    Of a value that the column does not take the outcome is REFUSED, and nothing is sent.
    """
    cells: dict[str, Json] = {}
    for key, value in change.cells.items():
        heading = columns.headings.get(key)
        if heading is None:
            continue
        column, found = fields[heading], record.fields.get(heading)
        if column.type == FieldType.ATTACHMENT and (value is None or isinstance(value, tuple)):
            if (files := attached(found, value or ())) is not None:
                cells[heading] = files
            continue
        try:
            if not is_same(column, key, found, value):
                cells[heading] = written(column, key, value)
        except Unfit as unfit:
            return Plan(change, Outcome(result=Result.REFUSED, trouble=unfit.trouble))
    return Plan(change, Outcome(result=Result.WRITTEN), cells)
