"""Settings from the environment: ``ROWKEEPER_SECTION__KEY`` and a few names without a section."""

from collections.abc import Mapping
from pathlib import Path

from msgspec import inspect

from config.errors import Problem
from config.faults import fault
from config.given import Given, Origin, Raw, Table
from config.sections import is_secret
from config.settings import Settings
from config.values import closest

PREFIX = "ROWKEEPER_"
#: Read elsewhere: where the file lies, and what the crash tests arm.
_NOT_SETTINGS = {"ROWKEEPER_CONFIG", "ROWKEEPER_FAILPOINT", "ROWKEEPER_FAILPOINT_RECORD"}


def override(table: Table, env: Mapping[str, str], cwd: Path) -> tuple[Table, list[Problem]]:
    """Return *table* with what the environment says instead, and what it cannot say.

    Paths in the environment are relative to *cwd*. An empty variable counts as not set. A name
    without ``__`` that is none of ours is left alone (others may use the prefix, as Kubernetes
    does for a service called rowkeeper), unless it looks like a slip.
    """
    result, problems = dict(table), list[Problem]()
    given = {name: text for name, text in sorted(env.items()) if text and _may_be_ours(name)}
    known = _known_variables() if given else {}
    for variable, text in given.items():
        if variable not in known:
            has_section = "__" in variable
            alike = [name for name in known if ("__" in name) is has_section]
            near = closest(variable, alike, likeness=0.75)
            if has_section or near:
                faults = (fault("unknown_setting"), *near)
                problems.append(Problem(place=variable, faults=faults))
            continue
        section, key, kind = known[variable]
        value = Given(_typed(kind, text), Origin("env", variable), cwd)
        if not section:
            result[key] = value
        elif isinstance(inside := result.get(section, {}), dict):
            result[section] = _without_rival(inside, key, table.get(section)) | {key: value}
    return result, problems


def _may_be_ours(variable: str) -> bool:
    return variable.startswith(PREFIX) and variable not in _NOT_SETTINGS


def _known_variables() -> dict[str, tuple[str, str, inspect.Type]]:
    known: dict[str, tuple[str, str, inspect.Type]] = {}
    for section in _fields(inspect.type_info(Settings)):
        if not isinstance(section.type, inspect.StructType):
            if not isinstance(section.type, inspect.DictType | inspect.VarTupleType):
                known[f"{PREFIX}{section.name.upper()}"] = ("", section.name, section.type)
            continue
        for field in section.type.fields:
            keys = [field.name, f"{field.name}_file"] if is_secret(field.type) else [field.name]
            for key in keys:
                variable = f"{PREFIX}{section.name}__{key}".upper()
                known[variable] = (section.name, key, field.type)
    return known


def _fields(kind: inspect.Type) -> tuple[inspect.Field, ...]:
    assert isinstance(kind, inspect.StructType)  # noqa: S101 - Settings is one
    return kind.fields


def _without_rival(inside: Table, key: str, in_file: Raw) -> Table:
    """Drop the file's other way to give the same secret; the environment wins over the file."""
    rival = key.removesuffix("_file") if key.endswith("_file") else f"{key}_file"
    stands_in_file = isinstance(in_file, dict) and in_file.get(rival) is inside.get(rival)
    return {k: v for k, v in inside.items() if k != rival or not stands_in_file}


def _typed(kind: inspect.Type, text: str) -> Raw:
    """Return *text* as TOML would hold it; what does not fit stays text and is refused later."""
    inner = kind.type if isinstance(kind, inspect.Metadata) else kind
    match inner:
        case inspect.BoolType():
            return {"true": True, "1": True, "false": False, "0": False}.get(text.lower(), text)
        case inspect.IntType() | inspect.FloatType():
            try:
                return int(text) if isinstance(inner, inspect.IntType) else float(text)
            except ValueError:
                return text
        case inspect.VarTupleType():
            return [item.strip() for item in text.split(",") if item.strip()]
        case _:
            return text
