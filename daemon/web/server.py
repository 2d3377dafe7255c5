"""The door itself: opened when recovery has ended, closed when the daemon stops."""

import asyncio

import msgspec
import structlog
from aiohttp import web

from config.faults import Fault, fault, unreadable
from daemon.web import openapi, uploads
from daemon.web.auth import MIN_TOKEN_CHARACTERS, BadTokenFile, Guard, read_or_make_token
from daemon.web.desk import Desk
from daemon.web.entrance import Entrance
from daemon.web.events import Teller
from daemon.web.feed import Feed
from daemon.web.hosts import Hosts, is_loopback
from daemon.web.idempotency import AnswersGiven
from daemon.web.jobs import UPLOADS
from daemon.web.limits import CHANGES_UNDER_WAY, UnderWay
from daemon.web.listening import listen, unusable
from daemon.web.measures import Measures
from daemon.web.page_files import read_page
from daemon.web.paths import Paths
from daemon.web.rooms import Room
from daemon.web.routes import ENDPOINTS
from daemon.web.sign import Sign
from daemon.web.thumb_cache import THUMBS, ThumbCache

log = structlog.get_logger()

#: How long answers under way may take after the stop signal.
CLOSING_SECONDS = 3.0


class WebServer:
    """Serves contract §6 until the daemon stops."""

    name = "web"

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._settings = desk.settings.web
        self.sign = Sign(desk.settings.state_dir, desk.clock)
        self.url: str | None = None  # while it listens
        self.opened = asyncio.Event()  # once it has begun to listen

    async def run(self, stop: asyncio.Event) -> None:
        """Listen until *stop*; raises ConfigError when the address or token cannot be used."""
        room = await self._room()
        unsubscribe = self._desk.ledger.subscribe(room.feed.follow)
        hosts = Hosts(self._settings.host, self._settings.allowed_hosts)
        entrance = Entrance(room, hosts, Paths(ENDPOINTS))
        server = web.Server(entrance.answer, access_log=None)
        runner = web.ServerRunner(server, shutdown_timeout=CLOSING_SECONDS)
        try:
            await runner.setup()
            await self._listen(runner)
            await Teller(room.feed, self._desk).run(stop)
        finally:
            room.feed.close()
            unsubscribe()
            await runner.cleanup()
            await self.sign.take_down()
            self.url = None

    async def _room(self) -> Room:
        path = self._settings.admin_token_file
        try:
            token = await asyncio.to_thread(read_or_make_token, path)
        except (OSError, BadTokenFile, UnicodeDecodeError) as error:
            raise unusable("web.admin_token_file", str(path), _fault_of(error)) from error
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
        )

    async def _listen(self, runner: web.ServerRunner) -> None:
        self.url = await listen(runner, self._settings)
        await self.sign.put_up(self.url)
        log.info("web.listening", url=self.url)
        self.opened.set()


def _fault_of(error: OSError | BadTokenFile | UnicodeDecodeError) -> Fault:
    if isinstance(error, BadTokenFile):
        return fault("token_file", characters=str(MIN_TOKEN_CHARACTERS))
    return unreadable(error) if isinstance(error, OSError) else fault("secret_encoding")
