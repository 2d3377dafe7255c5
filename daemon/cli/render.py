"""Plain text for terminals: tables whose columns stay straight with Chinese in them."""

import unicodedata
from collections.abc import Collection, Sequence

from daemon.words.values import printable

_GAP = "  "
_WIDEST_CELL = 60


def width(text: str) -> int:
    """Return how many columns of a terminal *text* takes."""
    if text.isascii() and text.isprintable():
        return len(text)
    return sum(_char_width(char) for char in text)


def cut(text: str, widest: int) -> str:
    """Return *text* on one line, ended by … where it would be wider than *widest* columns."""
    text = printable(text)
    if width(text) <= widest:
        return text
    taken, used = [], 1
    for char in text:
        used += _char_width(char)
        if used > widest:
            break
        taken.append(char)
    return "".join(taken) + "…"


def table(
    heads: Sequence[str], rows: Sequence[Sequence[object]], *, whole: Collection[int] = ()
) -> str:
    """Return *rows* below *heads*; numbers stand right, a column without any value is left out.

    Columns of the numbers *whole* are never cut: people copy from them.
    """
    cells = [[_cell(value, whole=n in whole) for n, value in enumerate(row)] for row in rows]
    used = [n for n in range(len(heads)) if not rows or any(row[n] for row in cells)]
    widths = [max(width(heads[n]), *(width(row[n]) for row in cells), 0) for n in used]
    right = [bool(rows) and all(_is_number(row[n]) for row in rows) for n in used]
    lines = [[heads[n] for n in used], *([row[n] for n in used] for row in cells)]
    return "\n".join(
        _GAP.join(
            _padded(cell, wide, to_right=to_right)
            for cell, wide, to_right in zip(line, widths, right, strict=True)
        ).rstrip()
        for line in lines
    )


def _is_number(value: object) -> bool:
    return value is None or isinstance(value, int | float)


def _cell(value: object, *, whole: bool) -> str:
    if value is None:
        return ""
    return printable(str(value)) if whole else cut(str(value), _WIDEST_CELL)


def _padded(text: str, wide: int, *, to_right: bool) -> str:
    blanks = " " * (wide - width(text))
    return blanks + text if to_right else text + blanks


def _char_width(char: str) -> int:
    if unicodedata.combining(char) or unicodedata.category(char) in ("Cc", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1
