"""Turns what a row says into what an input of a node takes."""

import math

from daemon.comfy.server import Json
from daemon.words.recorded import recorded

#: ComfyUI's page writes 1.0 as 1, so a whole number in a template may stand for a decimal one;
#: these inputs never do.
WHOLE_NUMBER_INPUTS = frozenset(
    {"seed", "noise_seed", "steps", "width", "height", "length", "amount", "batch_size", "frames"}
)
_TRUE = frozenset({"true", "yes", "y", "on", "1", "是", "真", "对"})
_FALSE = frozenset({"false", "no", "n", "off", "0", "否", "假", "错"})
_SMALLEST, _BIGGEST = -(2**63), 2**64 - 1  # what both JSON writers and ComfyUI can hold
_SMALLEST_UNSURE = 2**53  # from here on a decimal number no longer names one whole number
_SHOWN_CHARACTERS = 60  # of a value that does not fit


class BadValue(ValueError):
    """A value of a row does not fit the input it is meant for; names column and value."""

    def __init__(self, column: str, value: Json, wrong: str) -> None:
        shown = repr(value)
        if len(shown) > _SHOWN_CHARACTERS:
            shown = f"{shown[: _SHOWN_CHARACTERS - 3]}..."
        super().__init__(recorded(wrong, column=column, value=shown))
        self.column = column
        self.value = value


def is_blank(value: Json) -> bool:
    """Say whether a cell is empty, so that the template's own value stays."""
    return value is None or (isinstance(value, str) and not value.strip())


def converted(column: str, value: Json, present: Json, input_name: str) -> Json:
    """Return *value* in the type of the template's *present* value; raises BadValue."""
    if isinstance(present, bool):
        return _truth(column, value)
    if isinstance(present, int):
        return _number(column, value, whole=input_name in WHOLE_NUMBER_INPUTS)
    if isinstance(present, float):
        return float(_number(column, value, whole=False))
    if isinstance(present, str):
        return _text(column, value)
    return value


def _truth(column: str, value: Json) -> bool:
    text = str(value).strip().lower()
    if text in _TRUE:
        return True
    if text in _FALSE:
        return False
    raise BadValue(column, value, "no_truth")


def _number(column: str, value: Json, *, whole: bool) -> int | float:
    wrong = "no_whole_number" if whole else "no_number"
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise BadValue(column, value, wrong)
    number = _read_number(value) if isinstance(value, str) else value
    endless = isinstance(number, float) and not math.isfinite(number)
    if number is None or endless or (whole and number != int(number)):
        raise BadValue(column, value, wrong)
    if abs(number) < _SMALLEST_UNSURE and number == int(number):
        return int(number)
    if isinstance(number, int) and not _SMALLEST <= number <= _BIGGEST:
        raise BadValue(column, value, f"{wrong}_in_range")
    return number


def _read_number(text: str) -> int | float | None:
    """Return the number that *text* is, or None; Python's 1_000 is none."""
    if "_" in text:
        return None
    for read in (int, float):
        try:
            return read(text)
        except ValueError:
            continue
    return None


def _text(column: str, value: Json) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    raise BadValue(column, value, "no_text")
