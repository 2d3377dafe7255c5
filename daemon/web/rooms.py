"""What all handlers of one running door share."""

import msgspec
from aiohttp import web

from daemon.web.auth import Guard
from daemon.web.desk import Desk
from daemon.web.feed import Feed
from daemon.web.idempotency import AnswersGiven
from daemon.web.limits import Buckets
from daemon.web.measures import Measures


class Room(msgspec.Struct, frozen=True, kw_only=True):
    """The desk, and what the door itself keeps while it is open."""

    desk: Desk
    guard: Guard
    changes: Buckets  # permits for changes, by address
    answers: AnswersGiven
    feed: Feed
    measures: Measures
    openapi: bytes  # the encoded document


ROOM: web.AppKey[Room] = web.AppKey("room", Room)
