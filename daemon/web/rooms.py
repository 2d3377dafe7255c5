"""What all handlers of one running door share."""

from collections.abc import Mapping

import msgspec

from daemon.web.auth import Guard
from daemon.web.desk import Desk
from daemon.web.feed import Feed
from daemon.web.idempotency import AnswersGiven
from daemon.web.limits import UnderWay
from daemon.web.measures import Measures
from daemon.web.page_files import PageFile
from daemon.web.thumb_cache import ThumbCache


class Room(msgspec.Struct, frozen=True, kw_only=True):
    """The desk, and what the door itself keeps while it is open."""

    desk: Desk
    guard: Guard
    changes: UnderWay  # permits for changes, by address
    answers: AnswersGiven
    feed: Feed
    measures: Measures
    openapi: bytes  # the encoded document
    page: Mapping[str, PageFile]  # the dashboard's files by name
    thumbs: ThumbCache
