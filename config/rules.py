"""Rules over several settings at once; each problem names the setting to change."""

from collections.abc import Iterable, Iterator

from config.errors import Problem
from config.sections import join
from config.settings import Settings


def find_contradictions(settings: Settings) -> Iterator[Problem]:
    """Yield what single values cannot show: names used twice, folders inside each other."""
    yield from _used_twice("servers", "name", (server.name for server in settings.servers))
    yield from _used_twice("servers", "url", (server.url for server in settings.servers))
    yield from _used_twice("tables", "name", (table.name for table in settings.tables))
    if not settings.servers:
        yield Problem(place="servers", value="[]", message="must name one server at least")
    if not settings.workflows:
        yield Problem(place="workflows", message="must name one workflow type at least")
    for name in settings.workflows:
        if not name.strip() or "+" in name:
            place = join("workflows", name)
            yield Problem(place=place, message="must not be empty, and + joins two types in a row")
    yield from _tables(settings)
    yield from _inside_inbox(settings)


def _tables(settings: Settings) -> Iterator[Problem]:
    seen: dict[tuple[str, str], int] = {}
    for number, table in enumerate(settings.tables):
        place = f"tables[{number}]"
        if table.is_file and table.path is None:
            message = f'is missing; a table of kind "{table.kind}" is a file'
            yield Problem(place=f"{place}.path", message=message)
            continue
        if not table.is_file and not table.url:
            message = "is missing; copy the document's address from the browser"
            yield Problem(place=f"{place}.url", message=message)
            continue
        if not table.is_file and not (settings.feishu.app_id and settings.feishu.app_secret):
            message = f'needs feishu.app_id and feishu.app_secret; it is a "{table.kind}"'
            yield Problem(place=place, message=message)
        where = (str(table.path or table.url), table.sheet)
        if (earlier := seen.setdefault(where, number)) != number:
            yield Problem(place=place, message=f"is the same table as tables[{earlier}]")
        if table.workflow_type and (unknown := _unknown_types(table.workflow_type, settings)):
            known = ", ".join(settings.workflows)
            message = f"names no workflow: {unknown}; known are: {known}"
            yield Problem(place=f"{place}.workflow_type", message=message)


def _unknown_types(workflow_type: str, settings: Settings) -> str:
    types = [part.strip() for part in workflow_type.replace("＋", "+").split("+")]
    return ", ".join(name for name in types if name not in settings.workflows)


def _used_twice(section: str, key: str, values: Iterable[str]) -> Iterator[Problem]:
    first: dict[str, int] = {}
    for number, value in enumerate(values):
        if (earlier := first.setdefault(value, number)) != number:
            place = f"{section}[{number}].{key}"
            yield Problem(
                place=place, value=f'"{value}"', message=f"is that of {section}[{earlier}] already"
            )


def _inside_inbox(settings: Settings) -> Iterator[Problem]:
    """Whatever lies in the inbox is taken for a job; our own files must not."""
    inbox = settings.inbox.path
    own = {
        "ledger.path": settings.ledger.path,
        "outputs.path": settings.outputs.path,
        "inputs.path": settings.inputs.path,
        "web.admin_token_file": settings.web.admin_token_file,
    }
    own |= {f"tables[{n}].path": t.path for n, t in enumerate(settings.tables) if t.path}
    for place, path in own.items():
        if path.is_relative_to(inbox):
            message = f"must not lie in inbox.path ({inbox})"
            yield Problem(place=place, value=f'"{path}"', message=message)
