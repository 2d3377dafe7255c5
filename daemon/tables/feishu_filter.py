"""Which rows of a Bitable a look asks for: those that may want something of us; pure.

Rows whose status is no end, unknown words among them, and rows with a command. Limits of a filter:
50 conditions, 2,000 characters, groups of one level; so only ends that are likely are shut out,
and a row too many in the answer does no harm.
"""

from collections.abc import Iterator, Mapping

from daemon.feishu.bitable import Condition, Conditions, Field, FieldType, Filter
from daemon.tables.columns import STATUS_KEYS, Columns
from daemon.tables.status import ENDS, STATUS_WORDS, read_status

#: In a text column anything may stand; these are the words that mostly do.
_COMMON_WORDS = [word for status in ENDS for word in STATUS_WORDS[status][:2]] + ["完成", "是"]
_FILTERED_TYPES = frozenset({FieldType.TEXT, FieldType.SINGLE_SELECT})


def open_rows(columns: Columns, fields: Mapping[str, Field]) -> Filter | None:
    """Return the filter, or None where the status is told by columns that cannot be filtered."""
    told = "status" in columns
    keys = ["status"] if told else [key for key in STATUS_KEYS if key in columns]
    statuses = [fields[columns.headings[key]] for key in keys]
    if not statuses or any(field.type not in _FILTERED_TYPES for field in statuses):
        return None
    empty = [Condition(field.name, "isEmpty") for field in statuses]
    if "command" in columns:
        empty.append(Condition(columns.headings["command"], "isNotEmpty"))
    groups = [Conditions("or", tuple(empty))]
    groups += [Conditions("and", tuple(_is_no_end(field))) for field in statuses if _ends(field)]
    if len(groups) == len(statuses):
        return None
    return Filter("or", tuple(groups))


def _is_no_end(field: Field) -> Iterator[Condition]:
    yield Condition(field.name, "isNotEmpty")
    for word in _ends(field):
        yield Condition(field.name, "isNot", (word,))


def _ends(field: Field) -> list[str]:
    """Return the words of this column that say that a row is at its end."""
    if field.type == FieldType.SINGLE_SELECT:
        return [option for option in field.options if read_status(option) in ENDS][:15]
    return _COMMON_WORDS
