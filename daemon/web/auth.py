"""Who may read and who may change: the admin token, and the reading session made from it."""

import enum
import hmac
import re
import secrets
from pathlib import Path

import structlog
from aiohttp import web

from daemon.clock import Clock
from daemon.durable import write_private
from daemon.web.address import ACTOR_HEADER
from daemon.web.limits import Buckets
from daemon.web.refusal import Refusal

log = structlog.get_logger()

COOKIE = "rowkeeper_session"
SESSION_SECONDS = 7 * 24 * 3600
MIN_TOKEN_CHARACTERS = 16
#: Wrong tokens from one address: so many at once, then one every so many seconds.
WRONG_TOKENS, WRONG_TOKEN_EVERY_SECONDS = 20, 3.0
_ACTOR = re.compile(r"cli:[A-Za-z0-9._@-]{1,64}")


class Access(enum.Enum):
    """What a path asks of those who call it."""

    OPEN = "open"  #: nothing
    READ = "read"  #: nothing on loopback; else the token, or a session
    CHANGE = "change"  #: the token


class BadTokenFile(ValueError):
    """The token file cannot be used; the text says why."""


def read_or_make_token(path: Path) -> str:
    """Return the admin token; made at the first call, for the owner's eyes only (0600).

    A crash leaves the whole token or none. Raises BadTokenFile for one too short to be a secret,
    OSError when the file cannot be read or made.
    """
    try:
        token = path.read_text("utf-8").strip()
    except FileNotFoundError:
        return _make_token(path)
    if len(token) < MIN_TOKEN_CHARACTERS or not (token.isascii() and token.isprintable()):
        raise BadTokenFile(
            f"{path} holds no token of {MIN_TOKEN_CHARACTERS} or more ASCII characters;"
            " remove it, and a new one is made"
        )
    if path.stat().st_mode & 0o077:
        log.warning("token_file.too_open", path=str(path), hint=f"chmod 600 {path}")
    return token


def _make_token(path: Path) -> str:
    token = secrets.token_urlsafe(32)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_private(path, f"{token}\n".encode())
    log.info("token_file.made", path=str(path))
    return token


class Guard:
    """Lets requests in, or says why not."""

    def __init__(self, token: str, clock: Clock, *, reading_is_open: bool) -> None:
        self._token = token.encode()
        self._clock = clock
        self._reading_is_open = reading_is_open
        self._wrong = Buckets(clock, WRONG_TOKENS, WRONG_TOKEN_EVERY_SECONDS)

    def check(self, request: web.BaseRequest, access: Access) -> None:
        """Return when *request* has the right to *access*; raises Refusal (401, 429)."""
        if access is Access.OPEN or (access is Access.READ and self._may_read(request)):
            return
        given = _bearer(request)
        if given is not None and hmac.compare_digest(given, self._token):
            return
        code = "token_missing" if given is None else "token_wrong"
        remote = request.remote or ""
        if given is not None and (wait_seconds := self._wrong.take(remote)) > 0:
            raise too_many(wait_seconds)
        log.warning(
            "request.unauthorized",
            remote=remote,
            method=request.method,
            path=request.path,
            why=code.replace("_", " "),
        )
        raise Refusal(code, 401, headers={"WWW-Authenticate": 'Bearer realm="rowkeeper"'})

    def session(self) -> str:
        """Return the value of a cookie that lets read for SESSION_SECONDS, over restarts too."""
        until = int(self._clock.now().timestamp()) + SESSION_SECONDS
        return f"{until}.{self._signature(until)}"

    def _may_read(self, request: web.BaseRequest) -> bool:
        if self._reading_is_open:
            return True
        until, _, signature = request.cookies.get(COOKIE, "").partition(".")
        if request.method not in ("GET", "HEAD") or not re.fullmatch(r"\d{1,15}", until):
            return False
        fresh = int(until) > self._clock.now().timestamp()
        expected = self._signature(int(until)).encode()
        return hmac.compare_digest(signature.encode(), expected) and fresh

    def _signature(self, until: int) -> str:
        return hmac.digest(self._token, f"rowkeeper-session:{until}".encode(), "sha256").hex()


def actor_of(request: web.BaseRequest) -> str:
    """Return who the journal names: ``api``, or the user whom the command line vouches for.

    Only asked after the token was proven. Raises Refusal for a name of another form.
    """
    named = request.headers.get(ACTOR_HEADER)
    if named is None:
        return "api"
    if not _ACTOR.fullmatch(named):
        raise Refusal("bad_actor", 400, header=ACTOR_HEADER)
    return named


def too_many(wait_seconds: float) -> Refusal:
    """Return the refusal for one who asks too often."""
    seconds = max(1, round(wait_seconds + 0.5))
    return Refusal("too_many_requests", 429, headers={"Retry-After": str(seconds)}, seconds=seconds)


def _bearer(request: web.BaseRequest) -> bytes | None:
    kind, _, given = request.headers.get("Authorization", "").partition(" ")
    if kind.lower() != "bearer" or not given.strip():
        return None
    return given.strip().encode("utf-8", "surrogateescape")
