"""Servers: how they are, and whether they get work."""

from daemon.actions import servers
from daemon.web.decoding import Nothing
from daemon.web.documents import ServersDocument
from daemon.web.endpoint import Call
from daemon.web.performing import now, perform
from daemon.web.views import server_documents
from ledger.task import Json


async def list_servers(call: Call[Nothing, Nothing]) -> ServersDocument:
    """Answer all servers of the settings."""
    return ServersDocument(server_documents(call.desk.ledger, call.desk.servers))


async def drain(call: Call[Nothing, Nothing]) -> dict[str, Json]:
    """Give the server no more work."""
    view, name, known = call.desk.ledger, call.id("server"), _known(call)
    return await perform(call, lambda: servers.drain(view, name, at=now(call), known=known))


async def resume(call: Call[Nothing, Nothing]) -> dict[str, Json]:
    """Give the server work again."""
    view, name, known = call.desk.ledger, call.id("server"), _known(call)
    return await perform(call, lambda: servers.resume(view, name, at=now(call), known=known))


def _known(call: Call[Nothing, Nothing]) -> list[str]:
    return [state.name for state in call.desk.servers]
