"""The setting ``outputs.name``: its placeholders, and all that can be wrong with it (pure)."""

import re
import string
from collections.abc import Iterator
from functools import cache
from typing import TypeAlias

from config.faults import Fault, fault

#: Placeholders that always have a value; every other one means a column of the row.
PLACEHOLDERS = frozenset(
    {
        "batch",
        "task_id",
        "row_id",
        "row_number",
        "product_name",
        "model_name",
        "workflow_type",
        "attempt",
        "index",
        "ext",
    }
)
SPEC = re.compile(r"([<>^]?[0-9]{0,3}[ds]?)|(\.[0-9]{1,2}f)")
#: Those that are text in every task; what a column of the row holds is not known here.
_TEXTS = frozenset({"batch", "task_id", "row_id", "product_name", "model_name", "workflow_type"})
_TELL_ROWS_APART = frozenset({"row_number", "row_id", "task_id"})

#: Literal text, then its placeholder with the format behind the colon.
Part: TypeAlias = tuple[str, str | None, str]


@cache  # one template names all results
def parts_of(template: str) -> tuple[Part, ...]:
    """Return literal texts, each with its placeholder; raises ValueError for unpaired braces."""
    parts: list[Part] = []
    for literal, field, spec, conversion in string.Formatter().parse(template):
        if conversion:
            raise ValueError(f"!{conversion} cannot be used")
        parts.append((literal, field, spec or ""))
    return tuple(parts)


def columns_in(template: str) -> frozenset[str]:
    """Return the columns of a row that names tell, besides those that every row has."""
    return frozenset(field for _, field, _ in parts_of(template) if field) - PLACEHOLDERS


def faults_of(template: str) -> list[Fault]:
    """Return everything that is wrong with *template*."""
    try:
        parts = parts_of(template)
    except ValueError as error:
        return [fault("output_braces", said=str(error))]
    faults = [each for _, field, spec in parts for each in _faults_of_placeholder(field, spec)]
    fields = {field for _, field, _ in parts}
    if "index" not in fields:
        faults.append(fault("output_index"))
    if not template.endswith("{ext}"):
        faults.append(fault("output_ext"))
    if not _TELL_ROWS_APART & fields:
        faults.append(fault("output_row"))
    if template.startswith(("/", "\\")):
        faults.append(fault("output_absolute"))
    if any(part.strip() in (".", "..") for part in re.split(r"[/\\]", template)):
        faults.append(fault("output_dots"))
    return faults


def _faults_of_placeholder(field: str | None, spec: str) -> Iterator[Fault]:
    if field is None:
        return
    plain, formatted = f"{{{field}}}", f"{{{field}:{spec}}}"
    if not field.strip() or field.strip().isdigit():
        yield fault("output_nameless", placeholder=plain)
    elif set(field) & set(".[]!"):
        yield fault("output_no_name", placeholder=plain)
    elif not SPEC.fullmatch(spec):
        yield fault("output_width", placeholder=formatted)
    elif field in _TEXTS and spec.endswith(("d", "f")):
        yield fault("output_text", placeholder=formatted, field=field, spec=spec)
    elif field not in PLACEHOLDERS:
        yield from _mistyped(field, plain)


def _mistyped(field: str, plain: str) -> Iterator[Fault]:
    """Yield that a column is called nearly like a placeholder."""
    from difflib import get_close_matches  # noqa: PLC0415 - only for names that tell columns

    if near := get_close_matches(field, PLACEHOLDERS, n=1, cutoff=0.85):
        yield fault("output_unknown", placeholder=plain, near=f"{{{near[0]}}}")
