"""The settings in effect, each with its origin; secrets never leave this module."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec
from msgspec import inspect

from config.given import DEFAULT, Origin, quoted, shown
from config.links import link_shown
from config.load import Loaded
from config.sections import is_link, is_secret, join
from config.settings import OutputNode, Section


class Shown(msgspec.Struct, frozen=True):
    """One setting as it may be printed."""

    table: str  # the header it stands under: "", "[web]", "[[servers]]"
    place: str  # "servers[0].url"
    key: str
    value: object  # as JSON can hold it
    origin: str

    @property
    def text(self) -> str:
        """The value as TOML writes it."""
        return shown(self.value)


def effective(loaded: Loaded) -> list[Shown]:
    """Return every setting in effect, in the order of the sections."""
    return list(_section(loaded.settings, "", "", loaded.origins))


def as_toml(loaded: Loaded) -> str:
    """Return the settings in effect as a file that could be loaded, an origin behind each."""
    lines = [f"# from {loaded.file or 'no file: defaults'}"]
    entries = effective(loaded)
    width = max(len(f"{entry.key} = {entry.text}") for entry in entries if len(entry.text) < 50)  # noqa: PLR2004 - longer ones need not line up
    table = instance = ""
    for entry in entries:
        head = entry.place.rpartition(".")[0]
        if entry.table and (entry.table, head) != (table, instance):
            lines += ["", re.sub(r"\[\d+\]", "", entry.table)]  # TOML: of the last [[…]]
        table, instance = entry.table, head
        line = f"{entry.key} = {entry.text}"
        lines.append(f"{line:<{width}}  # {entry.origin}")
    return "\n".join(lines) + "\n"


def _section(
    section: Section, table: str, place: str, origins: Mapping[str, Origin]
) -> Iterator[Shown]:
    kind = inspect.type_info(type(section))
    assert isinstance(kind, inspect.StructType)  # noqa: S101 - every Section is one
    deeper = list[Iterator[Shown]]()
    for field in kind.fields:
        value, inside = getattr(section, field.name), join(place, field.name)
        if isinstance(value, Section):
            deeper.append(_section(value, f"[{inside}]", inside, origins))
        elif isinstance(value, tuple) and value and isinstance(value[0], Section):
            deeper += [
                _section(item, f"[[{inside}]]", f"{inside}[{number}]", origins)
                for number, item in enumerate(value)
            ]
        elif isinstance(value, dict):
            deeper.append(_table(value, inside, origins, secret=is_secret(field.type)))
        elif value is not None:
            value = _printable(value, secret=is_secret(field.type))
            value = link_shown(str(value)) if is_link(field.type) else value
            yield Shown(table, inside, field.name, value, str(origins.get(inside, DEFAULT)))
    for entries in deeper:  # TOML wants a table's own keys before the tables inside it
        yield from entries


def _table(
    values: Mapping[str, object], place: str, origins: Mapping[str, Origin], *, secret: bool
) -> Iterator[Shown]:
    for key, value in values.items():
        inside = join(place, key)
        if isinstance(value, Section) and not isinstance(value, OutputNode):
            yield from _section(value, f"[{inside}]", inside, origins)
            continue
        origin = origins.get(inside) or origins.get(f"{inside}.node", DEFAULT)
        value_shown = _printable(value, secret=secret)
        yield Shown(f"[{place}]", inside, quoted(key), value_shown, str(origin))


def _printable(value: object, *, secret: bool) -> object:
    """Return *value* as JSON can hold it; of a secret only whether there is one."""
    match value:
        case str() if secret and value:
            return "***"
        case Path():
            return str(value)
        case tuple():
            return [_printable(item, secret=secret) for item in value]
        case Section():
            return msgspec.structs.asdict(value)
        case _:
            return value
