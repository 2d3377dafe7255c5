"""The door itself: opened when recovery has ended, closed when the daemon stops.

Where it listens stands in ``<state_dir>/web.json`` for as long as it does.
"""

import asyncio
import errno
import os
import secrets
from collections.abc import Awaitable, Callable
from functools import lru_cache, partial

import msgspec
import structlog
from aiohttp import web
from prometheus_client import Counter

from config.errors import ConfigError, Problem
from daemon.actions.plan import ActionError
from daemon.durable import write_private
from daemon.web import openapi, uploads
from daemon.web.activity import Activity
from daemon.web.address import Address, address_file
from daemon.web.auth import BadTokenFile, Guard, read_or_make_token
from daemon.web.concerns import concerns_of
from daemon.web.desk import Desk
from daemon.web.endpoint import language_of, respond
from daemon.web.events import Teller
from daemon.web.feed import Feed
from daemon.web.headers import ALWAYS, SERVER
from daemon.web.hosts import Hosts, is_loopback
from daemon.web.idempotency import AnswersGiven
from daemon.web.jobs import UPLOADS
from daemon.web.limits import CHANGES_UNDER_WAY, UnderWay
from daemon.web.measures import Measures
from daemon.web.page_files import read_page
from daemon.web.refusal import Refusal, error_document
from daemon.web.rooms import ROOM, Room
from daemon.web.routes import ENDPOINTS
from daemon.web.thumb_cache import THUMBS, ThumbCache
from ledger.errors import Conflict, LedgerClosed, UnknownRecord

log = structlog.get_logger()

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

#: How long answers under way may take after the stop signal.
CLOSING_SECONDS = 3.0


class WebServer:
    """Serves contract §6 until the daemon stops."""

    name = "web"

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._settings = desk.settings.web
        self._address_file = address_file(desk.settings.state_dir)
        self.url: str | None = None  # while it listens
        self.opened = asyncio.Event()  # once it has begun to listen

    async def run(self, stop: asyncio.Event) -> None:
        """Listen until *stop*; raises ConfigError when the address or token cannot be used.

        A crash leaves ``web.json`` behind; whoever reads it compares the process id.
        """
        room = await self._room()
        unsubscribe = [
            self._desk.ledger.subscribe(room.feed.follow),
            self._desk.ledger.subscribe(room.measures.follow),
            self._desk.ledger.subscribe(room.activity.follow),
        ]
        runner = web.AppRunner(
            self._application(room), access_log=None, shutdown_timeout=CLOSING_SECONDS
        )
        try:
            await runner.setup()
            await self._listen(runner)
            await Teller(room.feed, self._desk, room.activity).run(stop)
        finally:
            room.feed.close()
            for end in unsubscribe:
                end()
            await runner.cleanup()
            if self.url is not None:
                await asyncio.to_thread(self._address_file.unlink, missing_ok=True)
                self.url = None

    async def _room(self) -> Room:
        path = self._settings.admin_token_file
        try:
            token = await asyncio.to_thread(read_or_make_token, path)
        except (OSError, BadTokenFile, UnicodeDecodeError) as error:
            raise _unusable("web.admin_token_file", str(path), str(error)) from error
        await asyncio.to_thread(uploads.clear, self._desk.settings.state_dir / UPLOADS)
        desk = self._desk
        guard = Guard(token, desk.clock, reading_is_open=is_loopback(self._settings.host))
        return Room(
            desk=desk,
            guard=guard,
            changes=UnderWay(CHANGES_UNDER_WAY),
            answers=AnswersGiven(desk.ledger, desk.clock),
            feed=Feed(),
            measures=Measures(desk),
            openapi=msgspec.json.encode(openapi.document(ENDPOINTS)),
            page=await asyncio.to_thread(read_page),
            thumbs=ThumbCache(desk.settings.state_dir / THUMBS),
            activity=Activity(
                desk.ledger, desk.servers, desk.stuck, desk.clock, partial(concerns_of, desk)
            ),
        )

    def _application(self, room: Room) -> web.Application:
        hosts = Hosts(self._settings.host, self._settings.allowed_hosts)

        @lru_cache(maxsize=64)
        def answers_with(status: int) -> Counter:
            return room.measures.metrics.counters.requests.labels(str(status))

        @web.middleware
        async def answer(request: web.Request, handler: Handler) -> web.StreamResponse:
            """Let the request through the checks; whatever is refused is told in JSON."""
            try:
                hosts.check(request)
                return await handler(request)
            except Exception as error:  # noqa: BLE001 - told and logged by ``refuse``
                return refuse(request, error)

        async def finish(_: web.Request, response: web.StreamResponse) -> None:
            if response.headers["Server"] != SERVER:  # else it was made of OF_JSON, which has all
                for name, value in ALWAYS.items():
                    response.headers.setdefault(name, value)
                response.headers["Server"] = SERVER
            answers_with(response.status).inc()

        application = web.Application(middlewares=[answer])
        application[ROOM] = room
        # paths are tried one by one, in this order: changes come by the thousand, so they go first
        for endpoint in sorted(ENDPOINTS, key=lambda endpoint: endpoint.method != "POST"):
            for method in endpoint.methods:
                application.router.add_route(method, endpoint.path, endpoint.run)
        application.on_response_prepare.append(finish)
        return application

    async def _listen(self, runner: web.AppRunner) -> None:
        host, port = self._settings.host, self._settings.port
        try:
            await web.TCPSite(runner, host, port).start()
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                why = "another program listens there; choose another port, or 0 for any free one"
                raise _unusable("web.port", str(port), why) from error
            raise _unusable("web.host", host, f"cannot listen there: {error.strerror}") from error
        bound = runner.addresses[0][1]
        self.url = f"http://{_for_clients(host)}:{bound}"
        address = msgspec.json.encode(Address(url=self.url, pid=os.getpid()))
        await asyncio.to_thread(write_private, self._address_file, address + b"\n")
        log.info("web.listening", url=self.url)
        self.opened.set()


def refuse(request: web.Request, error: Exception) -> web.StreamResponse:
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
            code, status, values = "conflict", 409, {"reason": str(error)}
        case LedgerClosed():
            code, status, values = "ledger_closed", 503, {"reason": str(error)}
        case web.RequestPayloadError() | ConnectionError():
            code, status, values = "body_cut", 400, {}
        case web.HTTPMethodNotAllowed():
            allowed = ", ".join(sorted(error.allowed_methods))
            code, status, headers = "wrong_method", 405, {"Allow": allowed}
            values = {"path": request.path, "method": request.method, "allowed": allowed}
        case web.HTTPNotFound():
            code, status, values = "unknown_path", 404, {"path": request.path[:200]}
        case _:
            code, status, values = "internal", 500, {"id": secrets.token_hex(4)}
            log.error("request.failed", id=values["id"], path=request.path, exc_info=error)
    document = error_document(code, language_of(request), values, problems)
    response = respond(document, status)
    response.headers.update(headers)
    return response


def _for_clients(host: str) -> str:
    """Return under which name this machine's own clients reach a door that listens at *host*."""
    plain = host.strip("[]")
    known = {"0.0.0.0": "127.0.0.1", "": "127.0.0.1", "::": "[::1]"}  # noqa: S104 - told from
    return known.get(plain, f"[{plain}]" if ":" in plain else plain)


def _unusable(place: str, value: str, message: str) -> ConfigError:
    return ConfigError([Problem(place=place, value=value, message=message)])
