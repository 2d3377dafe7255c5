"""Drain a server (no new work; what runs there ends) and let it take work again."""

from collections.abc import Collection

from daemon.actions.errors import ActionError
from daemon.actions.plan import Plan, Said, View, planned
from daemon.settle.server_memory import SECTION, memory_of, noting


def drain(view: View, name: str, *, at: str, known: Collection[str] = ()) -> Plan:
    """Give the server no new work; prompts it already has end there.

    *known*: names of the settings, for servers the ledger has not met. Raises ActionError for an
    unknown server.
    """
    return _switch(view, name, known, drained=True, at=at)


def resume(view: View, name: str, *, at: str, known: Collection[str] = ()) -> Plan:
    """Let a drained server take work again; raises ActionError for an unknown one."""
    return _switch(view, name, known, drained=False, at=at)


def _switch(view: View, name: str, known: Collection[str], *, drained: bool, at: str) -> Plan:
    if name not in known and name not in view.meta(SECTION):
        raise ActionError("unknown_server", 404, id=name)
    op = "server.drained" if drained else "server.resumed"
    changed = memory_of(view, name).drained != drained
    note = noting(view, name, drained=drained, drained_at=at if drained else None)
    if drained:
        key = "action.server_drained" if changed else "action.server_already_drained"
    else:
        key = "action.server_resumed" if changed else "action.server_not_drained"
    return planned(
        op,
        Said(key=key, values={"server": name}),
        *([note] if changed else []),
        server=name,
        drained=drained,
    )
