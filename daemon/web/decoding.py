"""Bodies and queries → the structs that the paths declare; every wrong field is named at once."""

from collections.abc import Mapping
from functools import cache
from typing import TypeVar

import msgspec
from multidict import MultiMapping

from daemon.web.allowed import problem_in
from daemon.web.refusal import FieldProblem, Refusal
from daemon.words.retelling import JSON, in_each_language
from ledger.task import Json

S = TypeVar("S", bound=msgspec.Struct)


class Nothing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A query or body that holds nothing."""


def decode_body(raw: bytes, kind: type[S]) -> S:
    """Return *raw* as *kind*; an empty body is an empty object. Raises Refusal (400)."""
    raw = raw if raw.strip() else b"{}"
    try:
        return msgspec.json.decode(raw, type=kind)
    except msgspec.ValidationError as error:
        raise bad_body(_problems_in(raw, kind) or [FieldProblem("", str(error))]) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _no_json(error) from error


def bad_body(problems: list[FieldProblem]) -> Refusal:
    """Return the refusal of a body that is JSON, but not what is wanted."""
    return Refusal("bad_body", 400, problems=problems, what=_told(problems))


def looked_into(raw: bytes) -> dict[str, msgspec.Raw] | list[msgspec.Raw] | None:
    """Return the members or items of a body, None when it has none; raises Refusal (400)."""
    try:
        return msgspec.json.decode(raw, type=dict[str, msgspec.Raw] | list[msgspec.Raw])
    except msgspec.ValidationError:
        return None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _no_json(error) from error


def _no_json(error: Exception) -> Refusal:
    return Refusal("bad_json", 400, what=dict(in_each_language(str(error)[:200], JSON)))


def _problems_in(raw: bytes, kind: type[msgspec.Struct]) -> list[FieldProblem]:
    """Return what is wrong with a body that has the wrong form, which may hide worse behind it."""
    try:
        return problems_of(msgspec.json.decode(raw), kind, strict=True)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _no_json(error) from error


def decode_query(query: MultiMapping[str], kind: type[S]) -> S:
    """Return the *query* of a URL as *kind*; tuples take a key many times. Raises Refusal (400)."""
    many = _lists(kind)
    given: dict[str, object] = {}
    problems: list[FieldProblem] = []
    for key in dict.fromkeys(query):
        values = query.getall(key)
        given[key] = values if key in many else values[0]
        if len(values) > 1 and key not in many:
            problems.append(FieldProblem(key, "stands there more than once"))
    try:
        if not problems:
            return msgspec.convert(given, kind, strict=False)
    except msgspec.ValidationError as error:
        problems = problems_of(given, kind, strict=False) or [FieldProblem("", str(error))]
    raise Refusal("bad_query", 400, problems=problems, what=_told(problems))


def problems_of(raw: object, kind: type[msgspec.Struct], *, strict: bool) -> list[FieldProblem]:
    """Return everything that keeps *raw* from being a *kind*."""
    if not isinstance(raw, Mapping):
        return [FieldProblem("", "must be a JSON object")]
    fields = {field.encode_name: field for field in _fields(kind)}
    known = ", ".join(fields) or "none"
    problems = [
        FieldProblem(str(key)[:100], f"is unknown; known: {known}")
        for key in raw
        if key not in fields
    ]
    for name, field in fields.items():
        if name in raw:
            problems += _problems_of_field(raw[name], name, field.type, strict=strict)
        elif field.required:
            problems.append(FieldProblem(name, "is missing"))
    return problems


def _problems_of_field(raw: object, name: str, kind: object, *, strict: bool) -> list[FieldProblem]:
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct) and isinstance(raw, Mapping):
        inner = problems_of(raw, kind, strict=strict)
        return [FieldProblem(f"{name}.{each.field}", each.problem) for each in inner]
    try:
        msgspec.convert(raw, kind, strict=strict)
    except msgspec.ValidationError as error:
        return [FieldProblem(name, problem_in(error, kind))]
    return []


@cache
def _fields(kind: type[msgspec.Struct]) -> tuple[msgspec.structs.FieldInfo, ...]:
    return msgspec.structs.fields(kind)


@cache
def _lists(kind: type[msgspec.Struct]) -> frozenset[str]:
    """Return the fields that hold several values."""
    return frozenset(
        field.encode_name for field in _fields(kind) if isinstance(field.default, tuple)
    )


def _told(problems: list[FieldProblem]) -> dict[str, Json]:
    """Return all of it on a line, in each language."""
    return {
        "zh": "；".join(f"{each.field or '*'} {each.told('zh')}" for each in problems),
        "en": "; ".join(f"{each.field or '*'}: {each.told('en')}" for each in problems),
    }
