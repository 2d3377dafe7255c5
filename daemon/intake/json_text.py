"""JSON text → what it says, whole numbers with all their digits; pure."""

import json
import re
from collections.abc import Iterator

import msgspec
import orjson

from daemon.intake.errors import Unreadable
from daemon.intake.reasons import Reason, because, cut, shown
from daemon.words.retelling import JSON, in_each_language
from ledger.task import Json

_LONG_NUMBER = re.compile(rb"[0-9]{19}")  # it may be a whole number beyond 64 bits
#: What orjson says of a word that begins like null, true or false, as if that had been meant.
_LITERAL, _NO_VALUE = "invalid literal", "unexpected character, expected a JSON value"
#: Whole numbers of more digits are beyond every float, too.
_MOST_DIGITS = 308


class TooLarge(str):
    """A number that nobody can hold, as it was written."""

    __slots__ = ()


def loads(data: bytes, line: int | None = None) -> Json:
    """Return what *data* says; a number that is too large for every reader is ``TooLarge``.

    Raises Unreadable, which tells the *line*, else that of *data*, for what is no JSON.
    """
    try:
        content: Json = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        if "infinity" in error.msg and (found := _with_too_large(data)) is not None:
            return found
        place = {"line": str(line or error.lineno), "column": str(error.colno)}
        said = _NO_VALUE if error.msg.startswith(_LITERAL) else error.msg
        why = in_each_language(said, JSON)
        raise Unreadable("no_json", why=why, **place) from error
    if _LONG_NUMBER.search(data) is None:
        return content
    try:
        exact: Json = msgspec.json.decode(data)  # orjson makes 1e+30 of a number of 31 digits
    except (msgspec.MsgspecError, RecursionError) as error:
        raise Unreadable("no_job_json", said=str(error)) from error
    return exact


def too_large(column: str, value: Json) -> Reason | None:
    """Return why *value* of *column* cannot be taken, if it is or holds what is too large."""
    number = next(_too_large_in(value), None)
    if number is None:
        return None
    return because("number_too_large", column=shown(column), number=cut(number))


def _with_too_large(data: bytes) -> Json:
    """Return what *data* says, None when it is no JSON; slower, and only for what is refused."""
    try:
        found: Json = json.loads(
            data, parse_float=_float, parse_int=_int, parse_constant=_no_constant
        )
    except (ValueError, RecursionError):
        return None
    return found


def _float(text: str) -> float | TooLarge:
    value = float(text)
    return value if abs(value) != float("inf") else TooLarge(text)


def _int(text: str) -> int | TooLarge:
    return int(text) if len(text) <= _MOST_DIGITS else TooLarge(text)


def _no_constant(name: str) -> Json:
    raise ValueError(name)  # NaN and Infinity are no JSON


def _too_large_in(value: Json) -> Iterator[TooLarge]:
    match value:
        case TooLarge():
            yield value
        case list():
            for part in value:
                yield from _too_large_in(part)
        case dict():
            for part in value.values():
                yield from _too_large_in(part)
