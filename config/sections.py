"""Tables of a file against the structs of ``settings``: every problem is found in one walk."""

import re
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import TypeVar

from msgspec import inspect

from config.errors import Problem
from config.faults import Fault, fault
from config.given import FILE, Given, Origin, Raw, Table, plain, quoted, shown
from config.secrets import SecretFiles, replace_secret_files
from config.settings import Section
from config.values import NotAllowed, closest, read_leaf

S = TypeVar("S", bound=Section)


class Unusable(Enum):
    """Stands for a value that had a problem; the default takes its place."""

    UNUSABLE = 0


UNUSABLE = Unusable.UNUSABLE
#: An address that bears a user's name, wherever it was put by mistake.
_USER_IN_URL = re.compile(r"://.*@")


class Reader:
    """Reads values and remembers what was wrong and where each came from.

    Relative paths are taken from *base*, those of credentials from *credentials*. ``origins`` has a
    key for each value that was given.
    """

    def __init__(self, base: Path, credentials: Path | None = None) -> None:
        self.base = base
        self._files = SecretFiles(base, credentials)
        self.problems: list[Problem] = []
        self.origins: dict[str, Origin] = {}

    def section(self, section: type[S], table: Table) -> S | Unusable:
        """Return *table* as a *section*; defaults stand where something could not be used."""
        kind = inspect.type_info(section)
        assert isinstance(kind, inspect.StructType)  # noqa: S101 - every Section is one
        value = self._struct(kind, table, "")
        return value if isinstance(value, section) else UNUSABLE

    def read(self, kind: inspect.Type, raw: Raw, place: str) -> object:
        """Return *raw* as *kind*, or UNUSABLE with the problem noted."""
        inner = kind.type if isinstance(kind, inspect.Metadata) else kind
        match inner:
            case inspect.StructType():
                return self._struct(inner, raw, place)
            case inspect.DictType():
                return self._dict(inner, raw, place, secret=is_secret(kind))
            case inspect.VarTupleType():
                return self._list(inner, raw, place)
            case inspect.UnionType(types=(first, inspect.StructType() as struct)):
                return self.read(struct if isinstance(plain(raw), dict) else first, raw, place)
            case _:
                return self._leaf(kind, raw, place)

    def _struct(self, kind: inspect.StructType, raw: Raw, place: str) -> object:
        table = self._table(raw, place, secret=holds_secret(kind))
        if table is None:
            return UNUSABLE
        secrets = [field.name for field in kind.fields if is_secret(field.type)]
        table, problems = replace_secret_files(table, secrets, self._files, place)
        self.problems += problems
        known = {field.name: field for field in kind.fields}
        self._note_unknown(table, [*known, *(f"{name}_file" for name in secrets)], place)
        values: dict[str, object] = {}
        for name, field in known.items():
            if name in table:
                values[name] = self.read(field.type, table[name], join(place, name))
            elif field.required:
                self._note(join(place, name), None, fault("missing"))
                values[name] = UNUSABLE
        if any(values.get(field.name) is UNUSABLE for field in kind.fields if field.required):
            return UNUSABLE
        return kind.cls(**{k: v for k, v in values.items() if v is not UNUSABLE})

    def _dict(self, kind: inspect.DictType, raw: Raw, place: str, *, secret: bool) -> object:
        table = self._table(raw, place, secret=secret or holds_secret(kind))
        if table is None:
            return UNUSABLE
        if secret:
            in_files = [key.removesuffix("_file") for key in table if key.endswith("_file")]
            table, problems = replace_secret_files(table, in_files, self._files, place)
            self.problems += problems
        values = {
            key: self._leaf(kind.value_type, value, join(place, key), secret=True)
            if secret
            else self.read(kind.value_type, value, join(place, key))
            for key, value in table.items()
        }
        return {key: value for key, value in values.items() if value is not UNUSABLE}

    def _list(self, kind: inspect.VarTupleType, raw: Raw, place: str) -> object:
        items = plain(raw)
        if not isinstance(items, list):
            many = isinstance(kind.item_type, inspect.StructType)
            allowed = fault("tables", place=place) if many else fault("list")
            return self._note(place, raw, allowed, secret=holds_secret(kind))
        if isinstance(raw, Given):
            items = [Given(item, raw.origin, raw.base) for item in items]
        self.origins[place] = raw.origin if isinstance(raw, Given) else FILE
        values = [
            self.read(kind.item_type, item, f"{place}[{number}]")
            for number, item in enumerate(items)
        ]
        return tuple(value for value in values if value is not UNUSABLE)

    def _leaf(self, kind: inspect.Type, raw: Raw, place: str, *, secret: bool = False) -> object:
        base = raw.base if isinstance(raw, Given) else self.base
        origin = raw.origin if isinstance(raw, Given) else FILE
        try:
            value = read_leaf(kind, plain(raw), base)
        except NotAllowed as error:
            secret = secret or is_secret(kind) or (_is_url(kind) and "@" in shown(raw))
            return self._note(place, raw, *error.faults, secret=secret)
        self.origins[place] = origin
        return value

    def _table(self, raw: Raw, place: str, *, secret: bool) -> Table | None:
        table = plain(raw)
        if isinstance(table, dict):
            return table
        self._note(place, raw, fault("table", place=place), secret=secret)
        return None

    def _note_unknown(self, table: Table, known: list[str], place: str) -> None:
        for key in table:
            if key not in known:
                near = closest(key, known) or (fault("known", names=tuple(sorted(known))),)
                self._note(join(place, key), None, fault("unknown_key"), *near)

    def _note(self, place: str, raw: Raw, *faults: Fault, secret: bool = False) -> Unusable:
        from_env = isinstance(raw, Given) and raw.origin.kind == "env"
        given_by = raw.origin.detail if isinstance(raw, Given) and from_env else None
        secret = secret or _USER_IN_URL.search(shown(raw)) is not None
        value = None if raw is None else cut(shown(raw, secret=secret))
        self.problems.append(Problem(place=place, value=value, faults=faults, given_by=given_by))
        return UNUSABLE


def is_secret(kind: inspect.Type) -> bool:
    """Say whether values of *kind* must never be shown."""
    return isinstance(kind, inspect.Metadata) and bool((kind.extra or {}).get("secret"))


def is_link(kind: inspect.Type) -> bool:
    """Say whether values of *kind* are shown as ``links`` shows them."""
    return isinstance(kind, inspect.Metadata) and bool((kind.extra or {}).get("link"))


def holds_secret(kind: inspect.Type) -> bool:
    """Say whether a value of *kind* has secrets inside, in whatever depth."""
    match kind:
        case inspect.StructType(fields=fields):
            return any(is_secret(field.type) or holds_secret(field.type) for field in fields)
        case inspect.DictType(value_type=inner) | inspect.VarTupleType(item_type=inner):
            return is_secret(inner) or holds_secret(inner)
        case _:
            return False


def _is_url(kind: inspect.Type) -> bool:
    check = (kind.extra or {}).get("check") if isinstance(kind, inspect.Metadata) else None
    return check in ("url", "public_url")


def secrets_in(section: Section) -> Iterator[str]:
    """Yield every secret that *section* holds, in whatever depth."""
    kind = inspect.type_info(type(section))
    assert isinstance(kind, inspect.StructType)  # noqa: S101 - every Section is one
    for field in kind.fields:
        value = getattr(section, field.name)
        if isinstance(value, Section):
            yield from secrets_in(value)
        elif isinstance(value, tuple | dict):
            items = value.values() if isinstance(value, dict) else value
            for item in items:
                if isinstance(item, Section):
                    yield from secrets_in(item)
                elif is_secret(field.type):
                    yield str(item)
        elif is_secret(field.type) and value:
            yield str(value)


def join(place: str, key: str) -> str:
    """Return the place of *key* inside *place*, as TOML would write it."""
    return f"{place}.{quoted(key)}" if place else quoted(key)


def cut(text: str) -> str:
    """Return *text*, shortened to fit a line of a terminal."""
    return text if len(text) <= 60 else text[:57] + "..."  # noqa: PLR2004 - characters
