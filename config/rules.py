"""Rules over several settings at once; each problem names the setting to change.

They look at the file as it was written: a server whose address is wrong has a name all the same,
and that another bears it too is to be told in the same breath.
"""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from config.errors import Problem
from config.given import Given, Raw, Table, plain
from config.sections import join
from config.settings import Settings
from config.values import NotAllowed, read_path

_FILE_KINDS, _FEISHU_KINDS = ("csv", "xlsx"), ("feishu-sheet", "feishu-bitable")


def find_contradictions(settings: Settings, written: Table, base: Path) -> Iterator[Problem]:
    """Yield what single values cannot show: names used twice, folders inside each other.

    *settings* hold defaults where *written*, the file's tables with what the environment gave,
    could not be used; relative paths start at *base*.
    """
    servers, tables = _items(written, "servers"), _items(written, "tables")
    yield from _used_twice("servers", "name", servers, str)
    yield from _used_twice("servers", "url", servers, lambda url: url.rstrip("/"))
    yield from _used_twice("tables", "name", tables, str)
    if "servers" in written and not servers:
        yield Problem.of("servers", "no_server", value="[]")
    workflows = plain(written.get("workflows"))
    types = [*workflows] if isinstance(workflows, dict) else [*settings.workflows]
    if not types:
        yield Problem.of("workflows", "no_workflow")
    for name in types:
        if not name.strip() or "+" in name:
            yield Problem.of(join("workflows", name), "workflow_name")
    paths = {number: _path(table, base) for number, table in tables}
    yield from _tables(tables, paths, types, settings)
    yield from _inside_inbox(settings, paths)


def _items(written: Table, section: str) -> list[tuple[int, Table]]:
    """Return the tables of the list *section* with their numbers."""
    items = plain(written.get(section))
    if not isinstance(items, list | tuple):
        return []
    numbered = ((number, plain(item)) for number, item in enumerate(items))
    return [(number, item) for number, item in numbered if isinstance(item, dict)]


def _text(item: Table, key: str) -> str:
    value = plain(item.get(key))
    return value if isinstance(value, str) else ""


def _path(table: Table, base: Path) -> Path | None:
    raw: Raw = table.get("path")
    try:
        return read_path(plain(raw), raw.base if isinstance(raw, Given) else base)
    except NotAllowed:
        return None


def _tables(
    tables: Iterable[tuple[int, Table]],
    paths: dict[int, Path | None],
    types: list[str],
    settings: Settings,
) -> Iterator[Problem]:
    seen: dict[tuple[str, str], int] = {}
    for number, table in tables:
        place, kind = f"tables[{number}]", _text(table, "kind")
        yield from _place_of(table, place, kind, settings)
        where = str(paths[number] or "") if kind in _FILE_KINDS else _text(table, "url")
        earlier = seen.setdefault((where, _text(table, "sheet")), number)
        if where and earlier != number:
            yield Problem.of(place, "same_table", number=str(earlier))
        if unknown := _unknown_types(_text(table, "workflow_type"), types):
            known = tuple(types)
            where = f"{place}.workflow_type"
            yield Problem.of(where, "no_such_workflow", names=unknown, known=known)


def _place_of(table: Table, place: str, kind: str, settings: Settings) -> Iterator[Problem]:
    """Yield what a table of this kind lacks to be found."""
    if kind in _FILE_KINDS and "path" not in table:
        yield Problem.of(f"{place}.path", "file_table_path", kind=kind)
    if kind not in _FEISHU_KINDS:
        return
    if not plain(table.get("url")):
        yield Problem.of(f"{place}.url", "feishu_url")
    elif not (settings.feishu.app_id and settings.feishu.app_secret):
        yield Problem.of(place, "feishu_app", kind=kind)


def _unknown_types(workflow_type: str, known: Iterable[str]) -> tuple[str, ...]:
    types = [part.strip() for part in workflow_type.replace("＋", "+").split("+")]
    return tuple(name for name in types if name and name not in known)


def _used_twice(
    section: str, key: str, items: Iterable[tuple[int, Table]], same: Callable[[str], str]
) -> Iterator[Problem]:
    """Yield each value of *key* that an earlier item has; *same* makes like ones equal."""
    first: dict[str, int] = {}
    for number, item in items:
        value = same(_text(item, key))
        if value and (earlier := first.setdefault(value, number)) != number:
            place = f"{section}[{number}].{key}"
            number_of_first = str(earlier)
            yield Problem.of(
                place, "used_twice", value=f'"{value}"', section=section, number=number_of_first
            )


def _inside_inbox(settings: Settings, tables: dict[int, Path | None]) -> Iterator[Problem]:
    """Whatever lies in the inbox is taken for a job; our own files must not."""
    inbox = settings.inbox.path
    own = {
        "ledger.path": settings.ledger.path,
        "outputs.path": settings.outputs.path,
        "inputs.path": settings.inputs.path,
        "web.admin_token_file": settings.web.admin_token_file,
    }
    own |= {f"tables[{number}].path": path for number, path in tables.items() if path is not None}
    for place, path in own.items():
        if path.is_relative_to(inbox):
            yield Problem.of(place, "inside_inbox", value=f'"{path}"', inbox=str(inbox))
