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
    for number, table in enumerate(settings.tables):
        if table.kind in ("csv", "xlsx") and table.path is None:
            message = f'is missing; a table of kind "{table.kind}" is a file'
            yield Problem(place=f"tables[{number}].path", message=message)
    yield from _inside_inbox(settings)


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
    for place, path in own.items():
        if path.is_relative_to(inbox):
            message = f"must not lie in inbox.path ({inbox})"
            yield Problem(place=place, value=f'"{path}"', message=message)
