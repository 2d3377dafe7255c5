"""The setting ``outputs.name``: its placeholders, and all that can be wrong with it (pure)."""

import difflib
import re
import string
from collections.abc import Iterator
from functools import cache
from typing import TypeAlias

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


def faults_of(template: str) -> list[str]:
    """Return everything that is wrong with *template*, in words for a person."""
    try:
        parts = parts_of(template)
    except ValueError as error:
        return [f"its braces do not fit: {error}; write {{{{ for a brace"]
    faults = [fault for _, field, spec in parts for fault in _faults_of_placeholder(field, spec)]
    fields = {field for _, field, _ in parts}
    if "index" not in fields:
        faults.append("it needs {index}: a task may have several files")
    if not template.endswith("{ext}"):
        faults.append("it must end with {ext}, the kind of file that the server made")
    if not _TELL_ROWS_APART & fields:
        faults.append("it needs {row_number}, {row_id} or {task_id}: rows would share a name")
    if template.startswith(("/", "\\")):
        faults.append("it must not begin with /: outputs.path says where the files lie")
    if any(part.strip() in (".", "..") for part in re.split(r"[/\\]", template)):
        faults.append("it must not contain . or .. as a folder")
    return faults


def _faults_of_placeholder(field: str | None, spec: str) -> Iterator[str]:
    if field is None:
        return
    if not field.strip() or field.strip().isdigit():
        yield f"{{{field}}} has no name: name a column"
    elif set(field) & set(".[]!"):
        yield f"{{{field}}} is no plain name, such as {{product_name}} or a column of the row"
    elif not SPEC.fullmatch(spec):
        yield f"{{{field}:{spec}}}: only a width such as :04d can follow the colon"
    elif field in _TEXTS and spec.endswith(("d", "f")):
        yield f"{{{field}:{spec}}}: {field} is text, which cannot be written as :{spec}"
    elif field not in PLACEHOLDERS and (
        near := difflib.get_close_matches(field, PLACEHOLDERS, n=1, cutoff=0.85)
    ):
        yield f"{{{field}}} is unknown: did you mean {{{near[0]}}}?"
