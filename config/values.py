"""One value against one type: the value as the settings hold it, or what would be allowed."""

import math
import os
from collections.abc import Iterable
from pathlib import Path
from typing import TypeAlias

from msgspec import inspect

from config.checks import CHECKS, has_control_characters
from config.given import Raw

Leaf: TypeAlias = str | int | float | bool | Path | None


class NotAllowed(Exception):
    """The value cannot be used; the text says what can."""


def read_leaf(kind: inspect.Type, raw: Raw, base: Path) -> Leaf:
    """Return *raw* as a value of *kind*; a path becomes absolute, relative ones from *base*.

    Raises NotAllowed.
    """
    match kind:
        case inspect.Metadata(type=inner, extra=extra):
            value = read_leaf(inner, raw, base)
            check = (extra or {}).get("check")
            if check is not None and (allowed := CHECKS[check](str(value))):
                raise NotAllowed(allowed)
            return value
        case inspect.UnionType(types=kinds):  # the only one of leaves: something or nothing
            return read_leaf(kinds[0], raw, base)
        case inspect.BoolType():
            return _bool(raw)
        case inspect.IntType() | inspect.FloatType():
            return _number(kind, raw)
        case inspect.LiteralType(values=values):
            return _choice([str(value) for value in values], raw)
        case inspect.CustomType():
            return read_path(raw, base)
        case inspect.StrType(min_length=shortest):
            text = _text(raw)
            if len(text) < (shortest or 0):
                raise NotAllowed("must not be empty")
            return text
        case _:
            raise TypeError(f"settings of {kind} are not known here")


def closest(word: str, known: Iterable[str], *, likeness: float = 0.6) -> str:
    """Return ``; did you mean …?`` for a word near a known one, else nothing."""
    from difflib import get_close_matches  # noqa: PLC0415 - only for those who mistyped

    by_lower = {name.lower(): name for name in known}
    near = get_close_matches(word.lower(), by_lower, n=1, cutoff=likeness)
    return f"; did you mean {by_lower[near[0]]}?" if near else ""


def _bool(raw: Raw) -> bool:
    if not isinstance(raw, bool):
        raise NotAllowed("must be true or false")
    return raw


def _number(kind: inspect.IntType | inspect.FloatType, raw: Raw) -> int | float:
    whole = isinstance(kind, inspect.IntType)
    allowed = "must be " + ("a whole number" if whole else "a number") + _bounds(kind)
    if isinstance(raw, bool) or not isinstance(raw, int if whole else int | float):
        raise NotAllowed(allowed)
    value = raw if whole else float(raw)
    if not math.isfinite(value) or not (
        (kind.ge is None or value >= kind.ge)
        and (kind.gt is None or value > kind.gt)
        and (kind.le is None or value <= kind.le)
    ):
        raise NotAllowed(allowed)
    return value


def _bounds(kind: inspect.IntType | inspect.FloatType) -> str:
    if kind.ge is not None and kind.le is not None:
        return f" from {kind.ge} to {kind.le}"
    if kind.ge is not None:
        return f", {kind.ge} or more"
    return "" if kind.gt is None else f" above {kind.gt}"


def _choice(values: list[str], raw: Raw) -> str:
    if raw not in values:
        allowed = ", ".join(f'"{value}"' for value in values)
        near = closest(raw, values) if isinstance(raw, str) else ""
        raise NotAllowed(f"must be one of {allowed}{near}")
    return str(raw)


def _text(raw: Raw) -> str:
    if not isinstance(raw, str):
        raise NotAllowed('must be text in quotes, as in "text"')
    if has_control_characters(raw):
        raise NotAllowed("must hold no control characters")
    return raw


def read_path(raw: Raw, base: Path) -> Path:
    """Return *raw* as an absolute path, relative ones from *base*; raises NotAllowed."""
    if not isinstance(raw, str) or not raw.strip() or has_control_characters(raw):
        raise NotAllowed('must be a path in quotes, as in "var/inbox"')
    path = Path.home() / raw[2:] if raw.startswith("~/") else base / raw
    return Path(os.path.abspath(path))  # noqa: PTH100 - resolve() would follow symbolic links
