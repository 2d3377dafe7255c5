"""One value against one type: the value as the settings hold it, or what would be allowed."""

import math
import os
from collections.abc import Iterable
from pathlib import Path
from typing import TypeAlias

from msgspec import inspect

from config.checks import CHECKS, has_control_characters
from config.faults import Fault, fault, told
from config.given import Raw

Leaf: TypeAlias = str | int | float | bool | Path | None


class NotAllowed(Exception):
    """The value cannot be used; ``faults`` say what can."""

    def __init__(self, *faults: Fault) -> None:
        super().__init__(told(faults))
        self.faults = faults


def read_leaf(kind: inspect.Type, raw: Raw, base: Path) -> Leaf:
    """Return *raw* as a value of *kind*; a path becomes absolute, relative ones from *base*.

    Raises NotAllowed.
    """
    match kind:
        case inspect.Metadata(type=inner, extra=extra):
            value = read_leaf(inner, raw, base)
            check = (extra or {}).get("check")
            if check is not None and (wrong := CHECKS[check](str(value))):
                raise NotAllowed(*wrong)
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
                raise NotAllowed(fault("empty"))
            return text
        case _:
            raise TypeError(f"settings of {kind} are not known here")


def closest(word: str, known: Iterable[str], *, likeness: float = 0.6) -> tuple[Fault, ...]:
    """Return ``did you mean …?`` for a word near a known one, else nothing."""
    from difflib import get_close_matches  # noqa: PLC0415 - only for those who mistyped

    by_lower = {name.lower(): name for name in known}
    near = get_close_matches(word.lower(), by_lower, n=1, cutoff=likeness)
    return (fault("near", name=by_lower[near[0]]),) if near else ()


def _bool(raw: Raw) -> bool:
    if not isinstance(raw, bool):
        raise NotAllowed(fault("bool"))
    return raw


def _number(kind: inspect.IntType | inspect.FloatType, raw: Raw) -> int | float:
    whole = isinstance(kind, inspect.IntType)
    word = fault("a_whole_number" if whole else "a_number")
    allowed = fault("number", kind=word, bounds=_bounds(kind))
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


def _bounds(kind: inspect.IntType | inspect.FloatType) -> Fault | str:
    if kind.ge is not None and kind.le is not None:
        return fault("from_to", least=str(kind.ge), most=str(kind.le))
    if kind.ge is not None:
        return fault("at_least", least=str(kind.ge))
    return "" if kind.gt is None else fault("above", least=str(kind.gt))


def _choice(values: list[str], raw: Raw) -> str:
    if raw not in values:
        allowed = tuple(f'"{value}"' for value in values)
        near = closest(raw, values) if isinstance(raw, str) else ()
        raise NotAllowed(fault("choice", allowed=allowed), *near)
    return str(raw)


def _text(raw: Raw) -> str:
    if not isinstance(raw, str):
        raise NotAllowed(fault("text"))
    if has_control_characters(raw):
        raise NotAllowed(fault("control_characters"))
    return raw


def read_path(raw: Raw, base: Path) -> Path:
    """Return *raw* as an absolute path, relative ones from *base*; raises NotAllowed."""
    if not isinstance(raw, str) or not raw.strip() or has_control_characters(raw):
        raise NotAllowed(fault("path"))
    path = Path.home() / raw[2:] if raw.startswith("~/") else base / raw
    return Path(os.path.abspath(path))  # noqa: PTH100 - resolve() would follow symbolic links
