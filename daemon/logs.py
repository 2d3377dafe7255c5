"""Logs: text for people on a terminal, one JSON object a line otherwise; always on stderr."""

import logging
import sys
from collections.abc import Mapping
from typing import Protocol, TextIO

import structlog
from structlog.typing import EventDict, Processor

#: Words in a key's name whose value must not reach a log.
_SECRET_KEYS = ("secret", "token", "webhook", "authorization", "headers", "password")
#: Foreign loggers that tell each request or job; only their warnings concern us.
_CHATTY = ("aiohttp", "apscheduler", "asyncio", "watchdog", "filelock", "PIL")


class LogSettings(Protocol):
    """What is needed of the settings: ``level`` and ``format`` (auto, text, json)."""

    @property
    def level(self) -> str: ...  # noqa: D102 - see the class

    @property
    def format(self) -> str: ...  # noqa: D102 - see the class


def set_up(settings: LogSettings, stream: TextIO | None = None) -> None:
    """Send the logs of structlog and of foreign libraries to *stream* (stderr).

    May be called again, for new settings. Values of keys that sound secret are masked.
    """
    stream = stream or sys.stderr
    level = logging.getLevelNamesMapping()[settings.level.upper()]
    as_text = settings.format == "text" or (settings.format == "auto" and stream.isatty())
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        mask_secrets,
    ]
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *shared],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *_renderers(stream, as_text=as_text),
            ],
        )
    )
    logging.root.handlers[:] = [handler]
    logging.root.setLevel(level)
    for name in _CHATTY:
        logging.getLogger(name).setLevel(max(level, logging.WARNING))
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,  # modules make their logger before this is called
    )


def mask_secrets(_: object, __: str, event: EventDict) -> EventDict:
    """Replace the values of keys that sound secret, one level deep inside mappings too."""
    for key, value in event.items():
        if _sounds_secret(key) and value:
            event[key] = "***"
        elif isinstance(value, Mapping) and any(_sounds_secret(inner) for inner in value):
            event[key] = {k: "***" if _sounds_secret(k) else v for k, v in value.items()}
    return event


def _sounds_secret(key: object) -> bool:
    return any(word in str(key).lower() for word in _SECRET_KEYS)


def _renderers(stream: TextIO, *, as_text: bool) -> list[Processor]:
    if as_text:
        plain = structlog.dev.plain_traceback  # local variables may hold secrets
        return [structlog.dev.ConsoleRenderer(colors=stream.isatty(), exception_formatter=plain)]
    without_locals = structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
    return [
        structlog.processors.ExceptionRenderer(without_locals),
        structlog.processors.EventRenamer("event"),
        structlog.processors.JSONRenderer(ensure_ascii=False),
    ]
