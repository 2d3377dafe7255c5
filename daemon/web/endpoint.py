"""One path: who may call it, what it takes, what it answers; and the way through all checks."""

import re
from collections.abc import Awaitable, Callable, Mapping
from functools import cache
from typing import Generic, TypeAlias, TypeVar

import msgspec
from aiohttp import web

from daemon.web.auth import Access, actor_of, too_many
from daemon.web.decoding import Nothing, decode_body, decode_query
from daemon.web.headers import OF_JSON
from daemon.web.limits import invite_body, read_body
from daemon.web.refusal import Refusal, language_wanted
from daemon.web.rooms import Room
from daemon.words import Words
from ledger.task import Json

Q = TypeVar("Q", bound=msgspec.Struct)
B = TypeVar("B", bound=msgspec.Struct)

Answer: TypeAlias = dict[str, Json] | msgspec.Struct | web.StreamResponse
#: The ids that stand in a path, by their names.
Ids: TypeAlias = Mapping[str, str]

#: What an id in a path may look like; anything else exists nowhere and is not looked up.
ID_PATTERNS: dict[str, str] = {
    "batch_id": r"[\w-]{1,64}",
    "task_id": r"(img|vid)_[0-9]{8}_[0-9]{6,12}",
    "server": r"[^/\\\x00-\x1f]{1,100}",
    "index": r"[0-9]{1,4}",
    "column": r"[^/\\\x00-\x1f]{1,200}",
    "file": r"[a-z0-9-]{1,60}\.(js|css|svg)",
}
_words_in = cache(Words)
_PATTERNS = {name: re.compile(pattern) for name, pattern in ID_PATTERNS.items()}
_UNKNOWN = {
    "batch_id": "batch",
    "task_id": "task",
    "server": "server",
    "index": "output",
    "column": "input",
    "file": "file",
}


class Call(Generic[Q, B]):
    """One request that has passed all checks, decoded."""

    def __init__(
        self, request: web.BaseRequest, room: Room, ids: Ids, *, query: Q, body: B, actor: str
    ) -> None:
        self.request = request
        self.room = room
        self.desk = room.desk
        self._ids = ids
        self.query = query
        self.body = body
        self.actor = actor

    def id(self, name: str) -> str:
        """Return the id *name* of the path; it fits its pattern."""
        return self._ids[name]

    @property
    def words(self) -> Words:
        """The catalogue in the language that the client asked for."""
        return _words_in(language_of(self.request, self.room))


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """A path of the visible list; ``run`` answers a request for it, of which the ids are known."""

    method: str
    path: str
    summary: str
    access: Access
    run: Callable[[web.BaseRequest, Room, Ids], Awaitable[web.StreamResponse]]
    query: type[msgspec.Struct] = Nothing
    body: type[msgspec.Struct] | None = None  # None: no body is read
    answer: type[msgspec.Struct] | None = None  # None: not JSON, see ``media``
    media: str = "application/json"
    takes_key: bool = False  # an Idempotency-Key
    streams: bool = False  # the handler reads the body itself: JSON as ``body``, or multipart

    @property
    def methods(self) -> tuple[str, ...]:
        """All methods that ``run`` answers: of what ends, HEAD gives the headers alone."""
        ends = self.method == "GET" and self.media != "text/event-stream"
        return ("GET", "HEAD") if ends else (self.method,)


def get(
    path: str,
    handler: Callable[[Call[Q, Nothing]], Awaitable[Answer]],
    summary: str,
    *,
    query: type[Q],
    answer: type[msgspec.Struct] | None = None,
    media: str = "application/json",
    access: Access = Access.READ,
) -> Endpoint:
    """Return a path that only reads."""

    async def run(request: web.BaseRequest, room: Room, ids: Ids) -> web.StreamResponse:
        room.guard.check(request, access)
        _check(ids)
        asked = _query_of(request, query)
        call = Call(request, room, ids, query=asked, body=Nothing(), actor="api")
        return respond(await handler(call))

    return Endpoint(
        method="GET",
        path=path,
        summary=summary,
        access=access,
        run=run,
        query=query,
        answer=answer,
        media=media,
    )


def post(
    path: str,
    handler: Callable[[Call[Q, B]], Awaitable[Answer]],
    summary: str,
    *,
    body: type[B],
    query: type[Q],
    answer: type[msgspec.Struct],
    takes_key: bool = False,
    streamed: type[msgspec.Struct] | None = None,
) -> Endpoint:
    """Return a path that changes something, or may.

    *streamed*: the handler reads the body itself, JSON of this kind or multipart.
    """

    async def run(request: web.BaseRequest, room: Room, ids: Ids) -> web.StreamResponse:
        room.guard.check(request, Access.CHANGE)
        remote = request.remote or ""
        if not room.changes.begin(remote):
            raise too_many(1)
        try:
            _check(ids)
            actor = actor_of(request)
            asked = _query_of(request, query)
            raw = b""
            if request.body_exists:
                await invite_body(request)
                raw = b"" if streamed else await read_body(request)
            sent = decode_body(raw, body)
            call = Call(request, room, ids, query=asked, body=sent, actor=actor)
            return respond(await handler(call))
        finally:
            room.changes.end(remote)

    return Endpoint(
        method="POST",
        path=path,
        summary=summary,
        access=Access.CHANGE,
        run=run,
        query=query,
        body=streamed or (None if body is Nothing else body),
        answer=answer,
        takes_key=takes_key,
        streams=streamed is not None,
    )


def respond(answer: Answer, status: int = 200) -> web.StreamResponse:
    """Return *answer* as JSON, unless it is a response already."""
    if isinstance(answer, dict | msgspec.Struct):  # the other is an abstract class: slow to ask for
        return web.Response(body=msgspec.json.encode(answer), status=status, headers=OF_JSON)
    return answer


def language_of(request: web.BaseRequest, room: Room) -> str:
    """Return "zh" or "en", as the request or the settings want it."""
    return language_wanted(request.headers.get("Accept-Language"), room.desk.settings.language)


def _query_of(request: web.BaseRequest, kind: type[Q]) -> Q:
    """Return the decoded query; most requests have none, and every query may be left out."""
    return decode_query(request.query, kind) if "?" in request.raw_path else kind()


def _check(ids: Ids) -> None:
    """Raise Refusal (404) for an id that no record can have; it goes no further than here."""
    for name, value in ids.items():
        if not _PATTERNS[name].fullmatch(value):
            raise Refusal(f"unknown_{_UNKNOWN[name]}", 404, id=value[:100])
