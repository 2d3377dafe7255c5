"""Where every request comes in and every answer goes out."""

import secrets
from functools import lru_cache

import structlog
from aiohttp import web
from prometheus_client import Counter

from daemon.actions.errors import ActionError
from daemon.web.endpoint import language_of, respond
from daemon.web.headers import ALWAYS
from daemon.web.hosts import Hosts
from daemon.web.paths import Paths
from daemon.web.refusal import Refusal, error_document
from daemon.web.rooms import Room
from daemon.words.retelling import LEDGER, in_each_language
from ledger.errors import Conflict, LedgerClosed, LedgerDamaged, LedgerError, UnknownRecord
from ledger.task import Json

log = structlog.get_logger()


class Entrance:
    """Leads requests to their endpoints; whatever is refused is told in JSON.

    It stands directly on aiohttp's server: its ``Application`` finds a path, goes through a
    middleware and calls a signal at four times the cost.
    """

    def __init__(self, room: Room, hosts: Hosts, paths: Paths) -> None:
        self._room = room
        self._hosts = hosts
        self._paths = paths
        self._answers_with = lru_cache(maxsize=64)(self._counter_of)

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        """Return the answer to *request*, with the headers that every one bears."""
        try:
            self._hosts.check(request)
            endpoint, ids = self._paths.find(request.method, request.rel_url.path_safe)
            response = await endpoint.run(request, self._room, ids)
        except Exception as error:  # noqa: BLE001 - told and logged by ``refuse``
            response = refuse(request, self._room, error)
        if "Server" not in response.headers:  # else it was made with all of them
            for name, value in ALWAYS.items():
                response.headers.setdefault(name, value)
        self._answers_with(response.status).inc()
        return response

    def _counter_of(self, status: int) -> Counter:
        return self._room.measures.metrics.counters.requests.labels(str(status))


def refuse(request: web.BaseRequest, room: Room, error: Exception) -> web.StreamResponse:
    """Return the JSON answer that tells why *request* was not carried out."""
    headers: dict[str, str] = {}
    problems = error.problems if isinstance(error, Refusal) else ()
    match error:
        case Refusal() | ActionError():
            code, status, values = error.code, error.status, error.values
            headers = dict(error.headers) if isinstance(error, Refusal) else {}
        case UnknownRecord():
            code, status, values = f"unknown_{error.kind}", 404, {"id": error.record_id}
        case Conflict():
            code, status, values = "conflict", 409, {"reason": _told(error)}
        case LedgerDamaged():
            code, status, values = "ledger_damaged", 503, {"reason": _told(error)}
        case LedgerClosed():
            code, status, values = "ledger_closed", 503, {"reason": _told(error)}
        case web.RequestPayloadError() | ConnectionError():
            code, status, values = "body_cut", 400, {}
        case _:
            code, status, values = "internal", 500, {"id": secrets.token_hex(4)}
            log.error("request.failed", id=values["id"], path=request.path, exc_info=error)
    document = error_document(code, language_of(request, room), values, problems)
    response = respond(document, status)
    response.headers.update(headers)
    return response


def _told(error: LedgerError) -> dict[str, Json]:
    return dict(in_each_language(str(error), LEDGER))
