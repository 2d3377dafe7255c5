"""Logs go to one stream, as text or as JSON lines, and hold no secrets."""

import io
import logging
import secrets

import orjson
import pytest
import structlog

from config.settings import Log
from daemon import logs


@pytest.fixture(autouse=True)
def _restore():
    handlers, level = logging.root.handlers[:], logging.root.level
    yield
    logging.root.handlers[:] = handlers
    logging.root.setLevel(level)
    structlog.reset_defaults()


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def lines_of(stream: io.StringIO) -> list[dict[str, object]]:
    return [orjson.loads(line) for line in stream.getvalue().splitlines()]


def test_off_a_terminal_each_line_is_a_json_object():
    stream = io.StringIO()
    log = structlog.get_logger()  # as modules do, before the set-up
    logs.set_up(Log(), stream)
    log.info("task.submitted", task="图_1", server="a")
    (line,) = lines_of(stream)
    assert line["event"] == "task.submitted"
    assert line["level"] == "info"
    assert line["task"] == "图_1"
    assert str(line["timestamp"]).endswith("Z")
    assert "图_1" in stream.getvalue()


def test_on_a_terminal_it_is_text():
    stream = Terminal()
    logs.set_up(Log(), stream)
    structlog.get_logger().info("task.submitted", server="a")
    assert "task.submitted" in stream.getvalue()
    assert not stream.getvalue().startswith("{")


def test_the_format_can_be_fixed():
    stream = Terminal()
    logs.set_up(Log(format="json"), stream)
    structlog.get_logger().info("x")
    assert lines_of(stream)


def test_the_level_keeps_lesser_news_out():
    stream = io.StringIO()
    logs.set_up(Log(level="warning"), stream)
    structlog.get_logger().info("quiet")
    logging.getLogger("somebody").info("quiet")
    structlog.get_logger().warning("loud")
    assert [line["event"] for line in lines_of(stream)] == ["loud"]


def test_logs_of_foreign_libraries_come_the_same_way():
    stream = io.StringIO()
    logs.set_up(Log(level="debug"), stream)
    logging.getLogger("apscheduler.scheduler").warning("missed %s", "it")
    logging.getLogger("aiohttp.access").info("GET /")
    (line,) = lines_of(stream)
    assert line["event"] == "missed it"
    assert line["logger"] == "apscheduler.scheduler"


def test_an_exception_stands_in_its_line():
    stream = io.StringIO()
    logs.set_up(Log(), stream)
    try:
        int("broken")
    except ValueError:
        structlog.get_logger().exception("service.failed")
    (line,) = lines_of(stream)
    assert "broken" in str(line["exception"])


def test_values_of_keys_that_sound_secret_are_masked():
    stream = io.StringIO()
    logs.set_up(Log(), stream)
    structlog.get_logger().info(
        "server.asked",
        headers={"Authorization": "hunter2"},
        admin_token="hunter2",
        settings={"feishu_webhook": "hunter2", "port": 1},
    )
    assert "hunter2" not in stream.getvalue()
    assert lines_of(stream)[0]["settings"] == {"feishu_webhook": "***", "port": 1}


@pytest.mark.parametrize("stream", [io.StringIO(), Terminal()])
def test_an_exception_does_not_tell_what_variables_held(stream):
    logs.set_up(Log(), stream)
    hidden = secrets.token_hex()

    def fail() -> None:
        raise ValueError(len(hidden))

    try:
        fail()
    except ValueError:
        structlog.get_logger().exception("service.failed")
    assert "ValueError" in stream.getvalue()
    assert hidden not in stream.getvalue()
