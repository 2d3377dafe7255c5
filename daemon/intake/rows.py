"""A raw row → the work it wants, or every reason why it cannot be taken; pure."""

import re
from collections.abc import Mapping

import msgspec

from daemon.intake.columns import HEADINGS, WorkflowNeeds, as_text
from daemon.intake.grid import RawRow
from daemon.intake.reasons import Reason, because, cut, joined, shown
from daemon.words import Words
from ledger.task import HANDED_ON, Json

DEFAULT_WORKFLOW_TYPE = "图片合成"
MAX_PRIORITY = 1_000_000_000
SEED_COLUMN = "seed"
#: Seeds stay below it, so that every JSON reader keeps all their digits.
SEED_LIMIT = 2**53
_WHOLE_NUMBER = re.compile(r"([+-]?\d{1,20})(?:\.0*)?")
#: Columns that become fields of the task; the rest stays in its ``row``.
FIELDS = frozenset({"row_number", "product_name", "model_name", "workflow_type", "priority"})


class RefusedRow(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A row that does not run, with the reason: rejected, or a duplicate."""

    line: int
    values: dict[str, object]  # as in the file
    reasons: tuple[Reason, ...]

    def text(self, words: Words) -> str:
        """Return every reason in the language of *words*."""
        return joined(self.reasons, words)


class WantedRow(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A row that can run once its pictures are proven."""

    line: int
    ordinal: int
    values: dict[str, Json]  # as in the file
    workflow_types: tuple[str, ...]  # one, or two stages
    row_number: str | int
    product_name: str = ""
    model_name: str = ""
    priority: int = 0
    pictures: dict[str, str]  # column → path as the row names it


def plan_row(raw: RawRow, needs: Mapping[str, WorkflowNeeds]) -> WantedRow | RefusedRow:
    """Return the work that *raw* wants, or the refusal with every reason at once."""
    if raw.problem:
        return RefusedRow(line=raw.line, values=dict(raw.values), reasons=(raw.problem,))
    problems = _without_value(raw)
    types: tuple[str, ...] = ()
    pictures: dict[str, str] = {}
    priority = 0
    if not problems:
        types = _workflow_types(raw, needs, problems)
        pictures = _pictures(raw, types, needs, problems)
        priority = _priority(raw, problems)
        _check_seed(raw, types, needs, problems)
    if problems:
        return RefusedRow(line=raw.line, values=dict(raw.values), reasons=tuple(problems))
    return WantedRow(
        line=raw.line,
        ordinal=raw.ordinal,
        values=raw.values,
        workflow_types=types,
        row_number=_row_number(raw),
        product_name=as_text(raw.values.get("product_name")) or "",
        model_name=as_text(raw.values.get("model_name")) or "",
        priority=priority,
        pictures=pictures,
    )


def _without_value(raw: RawRow) -> list[Reason]:
    """Return what is wrong with cells that hold something, but no value of a single cell."""
    found = {key for key, value in raw.values.items() if as_text(value) is None}
    return [because("no_value", column=shown(key)) for key in HEADINGS if key in found]


def own_picture_columns(
    types: tuple[str, ...], stage: int, needs: Mapping[str, WorkflowNeeds]
) -> frozenset[str]:
    """Return the picture columns that the row itself fills for the stage at index *stage*."""
    columns = needs[types[stage]].picture_columns
    return columns - {HANDED_ON} if stage else columns


def _workflow_types(
    raw: RawRow, needs: Mapping[str, WorkflowNeeds], problems: list[Reason]
) -> tuple[str, ...]:
    text = (as_text(raw.values.get("workflow_type")) or DEFAULT_WORKFLOW_TYPE).replace("＋", "+")
    if text in needs:
        return (text,)
    types = tuple(part.strip() for part in text.split("+"))
    problem = None
    if unknown := [name for name in types if name not in needs]:
        named, known = cut("+".join(unknown), 80), ", ".join(needs)
        problem = because("unknown_type", column=shown("workflow_type"), type=named, known=known)
    elif len(types) > 2 or len(set(types)) < len(types):  # noqa: PLR2004 - two stages
        problem = because("two_types", column=shown("workflow_type"))
    elif len(types) > 1 and HANDED_ON not in needs[types[1]].picture_columns:
        problem = because("no_second_stage", column=shown("workflow_type"), type=types[1])
    if problem is None:
        return types
    problems.append(problem)
    return ()


def _pictures(
    raw: RawRow,
    types: tuple[str, ...],
    needs: Mapping[str, WorkflowNeeds],
    problems: list[Reason],
) -> dict[str, str]:
    pictures: dict[str, str] = {}
    for stage in range(len(types)):
        for column in sorted(own_picture_columns(types, stage, needs)):
            named = as_text(raw.values.get(column))
            if named:
                pictures[column] = named
            elif named is None:
                problems.append(because("names_no_file", column=shown(column)))
            else:
                problems.append(because("missing", column=shown(column), type=types[stage]))
    return pictures


def _priority(raw: RawRow, problems: list[Reason]) -> int:
    if not (text := as_text(raw.values.get("priority"))):
        return 0
    priority = whole_number(text)
    if priority is None or abs(priority) > MAX_PRIORITY:
        problems.append(because("no_priority", column=shown("priority"), value=cut(text)))
        return 0
    return priority


def whole_number(given: Json) -> int | None:
    """Return the whole number that *given* is or tells as text, None when it is none.

    Excel exports 1 as 1.0; a number of more than 20 digits is too large for anything.
    """
    found = _WHOLE_NUMBER.fullmatch((as_text(given) or "").strip())
    return None if found is None else int(found[1])


def is_seed(given: Json) -> bool:
    """Say whether *given* is a seed that every server can be given as it stands."""
    seed = whole_number(given)
    return seed is not None and 0 <= seed < SEED_LIMIT


def _check_seed(
    raw: RawRow,
    types: tuple[str, ...],
    needs: Mapping[str, WorkflowNeeds],
    problems: list[Reason],
) -> None:
    """Refuse a seed that no server could be given as it stands."""
    given = raw.values.get(SEED_COLUMN)
    if given in (None, "") or not any(SEED_COLUMN in needs[name].columns for name in types):
        return
    if not is_seed(given):
        text = cut(str(given))
        limit = str(SEED_LIMIT - 1)
        column = shown(SEED_COLUMN)
        problems.append(because("no_seed", column=column, value=text, limit=limit))


def _row_number(raw: RawRow) -> str | int:
    text = as_text(raw.values.get("row_number"))
    if not text:
        return raw.ordinal
    plain = text.isascii() and text.isdigit() and len(text) <= 15  # noqa: PLR2004 - below 2^53
    return int(text) if plain and str(int(text)) == text else text
