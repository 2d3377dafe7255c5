"""The door of a start that waits: it says that the daemon is not up yet, and why, and no more."""

from collections.abc import Mapping

from aiohttp import web

from config.settings import Settings
from daemon.web.documents import Alive, Readiness
from daemon.web.endpoint import respond
from daemon.web.headers import ALWAYS
from daemon.web.hosts import Hosts
from daemon.web.listening import listen
from daemon.web.refusal import Refusal, error_document, language_wanted

#: When a client may ask again.
RETRY_SECONDS = 5


class Porch:
    """Listens where the daemon will; nobody gets further than here.

    ``/healthz``, which is open to all, answers 200: the process lives, and whoever would start it
    anew helps nobody. All else is answered 503. The reason names no path.
    """

    def __init__(self, settings: Settings, reason: Mapping[str, str]) -> None:
        """*reason*: a sentence in each language."""
        self._settings = settings
        self._reason = reason
        self._hosts = Hosts(settings.web.host, settings.web.allowed_hosts)
        self._runner = web.ServerRunner(web.Server(self._answer, access_log=None))

    async def open(self) -> str:
        """Begin to listen, and return the address; raises ConfigError when that cannot be."""
        await self._runner.setup()
        return await listen(self._runner, self._settings.web)

    async def close(self) -> None:
        """Give the address free."""
        await self._runner.cleanup()

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        asked = request.headers.get("Accept-Language")
        language = language_wanted(asked, self._settings.language)
        try:
            self._hosts.check(request)
            response = self._said(request, language)
        except Refusal as error:
            document = error_document(error.code, language, error.values)
            response = respond(document, error.status)
            response.headers.update(error.headers)
        for name, value in ALWAYS.items():
            response.headers.setdefault(name, value)
        return response

    def _said(self, request: web.BaseRequest, language: str) -> web.StreamResponse:
        reason, path = self._reason[language], request.rel_url.path
        if request.method in {"GET", "HEAD"} and path == "/healthz":
            return respond(Alive("starting", reason))
        if request.method in {"GET", "HEAD"} and path == "/readyz":
            return respond(_not_ready(len(self._settings.servers), reason), 503)
        wait = {"Retry-After": str(RETRY_SECONDS)}
        raise Refusal("starting", 503, headers=wait, reason=dict(self._reason))


def _not_ready(servers: int, reason: str) -> Readiness:
    return Readiness(
        ready=False,
        ledger_writable=False,
        ledger_damaged=False,
        servers_reachable=0,
        servers=servers,
        reason=reason,
    )
