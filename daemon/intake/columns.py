"""The columns of a job file: English keys, Chinese headings, and which of them are pictures."""

from collections.abc import Mapping

import msgspec

from daemon.words.headings import INPUT_HEADINGS
from ledger.task import Json

#: Every column with a meaning of its own, by key, with its Chinese heading.
HEADINGS: dict[str, str] = {key: names[0] for key, names in INPUT_HEADINGS.items()}
_KEYS = {heading: key for key, heading in HEADINGS.items()} | {key: key for key in HEADINGS}

#: From here on a decimal number no longer names one whole number.
_UNSURE_FROM = 2**53

#: Blanks of all kinds, and what is pasted with them from a page: marks of no width.
_UNSEEN = "".join(filter(str.isspace, map(chr, range(0x3001)))) + (
    "\ufeff\u200b\u200c\u200d\u200e\u200f\u2060\u00ad"
)

#: Columns that our own reports add; read back as if they were not there.
REPORT_LINE, REPORT_REASON = "rowkeeper_line", "rowkeeper_reason"
#: What stood there, where no columns could be read from it.
REPORT_TEXT = "rowkeeper_text"
REPORT_COLUMNS = (REPORT_LINE, REPORT_REASON, REPORT_TEXT)


class WorkflowNeeds(msgspec.Struct, frozen=True):
    """What one workflow type takes from a row."""

    picture_columns: frozenset[str]
    columns: frozenset[str]  # all mapped columns, pictures included


def bare_heading(heading: str) -> str:
    """Return *heading* without what nobody sees before and behind it."""
    return heading.strip(_UNSEEN)


def key_of(heading: str) -> str:
    """Return the key of a heading, or the heading itself, as people see it, if unknown."""
    bare = bare_heading(heading)
    return _KEYS.get(bare) or _KEYS.get(bare.casefold().replace(" ", "_")) or bare


def known_columns(needs: Mapping[str, WorkflowNeeds]) -> frozenset[str]:
    """Return every column that means something to us or to one of the workflows."""
    mapped: frozenset[str] = frozenset().union(*(need.columns for need in needs.values()))
    pictures: frozenset[str] = frozenset().union(*(n.picture_columns for n in needs.values()))
    return frozenset(HEADINGS) | mapped | pictures


def tidy(value: Json) -> Json:
    """Return *value* without outer blanks and without what JSON cannot carry.

    Lone surrogates become U+FFFD, whole numbers beyond 64 bits text, NaN and infinities None.
    """
    match value:
        case str():
            return clean_text(value).strip()
        case bool():
            return value
        case int():
            return value if -(2**63) <= value < 2**63 else str(value)
        case float():
            return value if abs(value) != float("inf") and value == value else None  # noqa: PLR0124 - NaN
        case list():
            return [tidy(part) for part in value]
        case dict():
            return {clean_text(key): tidy(part) for key, part in value.items()}
        case _:
            return value


def tidy_cells(cells: Mapping[str, Json]) -> dict[str, Json]:
    """Return *cells* by their clean keys, each tidy, without those that say nothing."""
    tidied = ((clean_text(key), tidy(value)) for key, value in cells.items())
    return {key: value for key, value in tidied if value not in (None, "")}


def clean_text(text: str) -> str:
    """Return *text* with each lone surrogate (a file name that is not UTF-8) as U+FFFD."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def as_text(value: Json) -> str | None:
    """Return a cell's value as people write it, or None when no single cell can hold it."""
    if isinstance(value, str):  # as nearly all are
        return value
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case float() if value.is_integer() and abs(value) < _UNSURE_FROM:
            return str(int(value))
        case int() | float():
            return str(value)
        case _:
            return None
