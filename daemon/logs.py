"""Logs: text for people on a terminal, one JSON object a line otherwise; always on stderr."""

import json
import logging
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from typing import Protocol, cast

import orjson
import structlog
from structlog.typing import EventDict, Processor

from daemon.log_lines import CallSoon, Stream
from daemon.repeats import CalmLog

#: Words in a key's name whose value must not reach a log.
_SECRET_KEYS = ("secret", "token", "webhook", "authorization", "headers", "password")
#: A shorter text would also be found where it is no secret.
SHORTEST_SECRET_CHARACTERS = 6
#: Foreign loggers that tell each request or job; only their warnings concern us.
_CHATTY = ("aiohttp", "apscheduler", "asyncio", "watchdog", "filelock", "PIL")


class LogSettings(Protocol):
    """What is needed of the settings: ``level`` and ``format`` (auto, text, json)."""

    @property
    def level(self) -> str: ...  # noqa: D102 - see the class

    @property
    def format(self) -> str: ...  # noqa: D102 - see the class


class TaskIds(Protocol):
    """What names a task in a log."""

    @property
    def task_id(self) -> str: ...  # noqa: D102 - as in the ledger's Task

    @property
    def batch_id(self) -> str: ...  # noqa: D102 - as in the ledger's Task

    @property
    def server(self) -> str | None: ...  # noqa: D102 - as in the ledger's Task


def about(task: TaskIds, server: str | None = None) -> dict[str, str]:
    """Return the ids that every line about *task* bears; *server*: where it is about to go."""
    ids = {"task": task.task_id, "batch": task.batch_id}
    return ids | ({"server": name} if (name := server or task.server) else {})


def set_up(
    settings: LogSettings, stream: Stream | None = None, secrets: Collection[str] = ()
) -> None:
    """Send the logs of structlog and of foreign libraries to *stream* (stderr).

    May be called again, for new settings. Values of keys that sound secret are masked, and each of
    *secrets* wherever it stands: in the text of somebody's error, too.
    """
    stream = stream or sys.stderr
    level = logging.getLevelNamesMapping()[settings.level.upper()]
    as_text = settings.format == "text" or (settings.format == "auto" and stream.isatty())
    steps: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        mask_secrets,
        _keep_exception,
    ]
    log = CalmLog(stream, _renderer([*_renderers(stream, as_text=as_text), _hider(secrets)]))
    _replace_handlers(ForeignHandler(log, steps))
    logging.root.setLevel(level)
    for name in _CHATTY:
        logging.getLogger(name).setLevel(max(level, logging.WARNING))
    structlog.configure(
        processors=[*steps, _as_keywords],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=lambda *_: log,  # not the standard library's: its records double the cost
        cache_logger_on_first_use=False,  # modules make their logger before this is called
    )


def by_turns(call_soon: CallSoon) -> AbstractContextManager[None]:
    """Within the block, write what this thread's loop tells in one turn together; see ``Lines``."""
    for handler in logging.root.handlers:
        if isinstance(handler, ForeignHandler):
            return handler.log.lines.by_turns(call_soon)
    return nullcontext()


class ForeignHandler(logging.Handler):
    """Hands what foreign libraries log to *log*, through the same *steps* as our own."""

    def __init__(self, log: CalmLog, steps: Sequence[Processor]) -> None:
        super().__init__()
        self.log = log
        self._steps = steps

    def emit(self, record: logging.LogRecord) -> None:
        """Tell *record*; one that cannot be told is shown as the library would show it."""
        try:
            event: EventDict = {"event": record.getMessage(), "logger": record.name}
            level = record.levelname.lower()
            if _is_no_trouble(record):
                level = "debug"
            elif (why := _malformed(record)) is not None:
                level, event["error"] = "info", why
            elif record.exc_info:
                event["exc_info"] = record.exc_info
            if logging.getLevelNamesMapping()[level.upper()] >= logging.root.level:
                self.log.tell(**_through(self._steps, level, event))
        except Exception:  # noqa: BLE001 - as every handler of the standard library does
            self.handleError(record)

    def close(self) -> None:
        """Have *log* tell what it has only counted so far."""
        self.log.close()
        super().close()


def _is_no_trouble(record: logging.LogRecord) -> bool:
    """Say whether a library calls an error what is none: a watch that ends while it reads."""
    return record.name.startswith("watchdog") and "thread is inactive" in record.getMessage()


def _malformed(record: logging.LogRecord) -> str | None:
    """Return what is wrong with a request that is no HTTP; that is its sender's trouble alone."""
    error = record.exc_info[1] if record.exc_info else None
    if error is None or not type(error).__module__.startswith("aiohttp.http_exceptions"):
        return None
    return " ".join(f"{type(error).__name__}: {error}".split())[:200]


def mask_secrets(_: object, __: str, event: EventDict) -> EventDict:
    """Replace the values of keys that sound secret, one level deep inside mappings too."""
    for key, value in event.items():
        if _sounds_secret(key) and value:
            event[key] = "***"
        elif isinstance(value, str):  # most are
            continue
        elif isinstance(value, Mapping) and any(_sounds_secret(inner) for inner in value):
            event[key] = {k: "***" if _sounds_secret(k) else v for k, v in value.items()}
    return event


def _replace_handlers(handler: ForeignHandler) -> None:
    for before in logging.root.handlers:
        if isinstance(before, ForeignHandler):
            before.close()
    logging.root.handlers[:] = [handler]


def _keep_exception(_: object, __: str, event: EventDict) -> EventDict:
    """Put the exception at hand in place of the wish for it: a repeated line is told later."""
    if event.get("exc_info") is True:
        event["exc_info"] = sys.exc_info()
    return event


def _as_keywords(_: object, __: str, event: EventDict) -> tuple[tuple[()], EventDict]:
    return (), event


def _through(steps: Sequence[Processor], level: str, event: EventDict) -> EventDict:
    for step in steps:
        event = cast("EventDict", step(None, level, event))
    return event


def _renderer(steps: Sequence[Processor]) -> Callable[[EventDict], str]:
    def render(event: EventDict) -> str:
        line: object = dict(event)  # a repeated one is rendered again
        for step in steps:
            line = step(None, "", cast("EventDict", line))
        return str(line)

    return render


def _hider(secrets: Collection[str]) -> Processor:
    hidden = [secret for secret in secrets if len(secret) >= SHORTEST_SECRET_CHARACTERS]

    def hide(_: object, __: str, line: EventDict | str) -> str:
        text = str(line)
        for secret in hidden:
            text = text.replace(secret, "***")
        return text

    return hide


@cache  # names in the code are few
def _sounds_secret(key: object) -> bool:
    return any(word in str(key).lower() for word in _SECRET_KEYS)


def _renderers(stream: Stream, *, as_text: bool) -> list[Processor]:
    if as_text:
        plain = structlog.dev.plain_traceback  # local variables may hold secrets
        return [structlog.dev.ConsoleRenderer(colors=stream.isatty(), exception_formatter=plain)]
    without_locals = structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
    return [
        structlog.processors.ExceptionRenderer(without_locals),
        structlog.processors.JSONRenderer(_as_json),
    ]


def _as_json(event: EventDict, default: Callable[[object], object]) -> str:
    """Return *event* as JSON, also what orjson refuses, such as half a character."""
    try:
        return orjson.dumps(event, default).decode()
    except TypeError:
        return json.dumps(event, ensure_ascii=False, default=default)
