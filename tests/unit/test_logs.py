"""Logs go to one stream, as text or as JSON lines, and hold no secrets."""

import asyncio
import io
import json
import logging
import secrets
import threading
from pathlib import Path

import orjson
import pytest
import structlog
from aiohttp.http_exceptions import BadStatusLine

from config.sections import secrets_in
from config.settings import Feishu, Log, Server, Settings
from daemon import logs
from daemon.repeats import QUIET_SECONDS
from daemon.running import Crew
from tests.fakes.records import task_record


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


def test_what_json_hardly_holds_is_shown_all_the_same():
    stream = io.StringIO()
    logs.set_up(Log(), stream)
    structlog.get_logger().info("task.odd", half="\ud83d", huge=10**40, path=Path("a"))
    (line,) = map(json.loads, stream.getvalue().splitlines())
    assert (line["half"], line["huge"]) == ("\ud83d", 10**40)
    assert "a" in line["path"]


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


def test_a_secret_of_the_settings_is_hidden_wherever_somebody_writes_it():
    headers = {"Authorization": "Bearer hunter2-hunter2"}
    settings = Settings(
        servers=(Server(name="a", url="http://x", headers=headers),),
        feishu=Feishu(app_id="cli_1", app_secret="s3cret-s3cret"),
    )
    stream = io.StringIO()
    logs.set_up(Log(), stream, list(secrets_in(settings)))
    structlog.get_logger().warning("server.lost", error="sent Bearer hunter2-hunter2")
    logging.getLogger("aiohttp.client").warning("app %s", "s3cret-s3cret")
    told = stream.getvalue()
    assert "hunter2" not in told
    assert "s3cret" not in told
    assert "***" in told


def test_what_a_crew_does_bears_the_ids_of_its_task():
    stream = io.StringIO()
    logs.set_up(Log(), stream)
    log = structlog.get_logger()

    async def fetch() -> None:
        log.info("file.fetched")

    async def work() -> None:
        crew = Crew(2)
        for number in (1, 2):
            task = task_record(task_id=f"img_{number}", batch_id="spring")
            crew.start(task.task_id, fetch(), logs.about(task, "gpu-a"))
        await crew.finish()
        log.info("crew.finished")

    asyncio.run(work())
    *fetched, finished = lines_of(stream)
    ids = [(line["task"], line["batch"], line["server"]) for line in fetched]
    assert ids == [("img_1", "spring", "gpu-a"), ("img_2", "spring", "gpu-a")]
    assert "task" not in finished


class Now:
    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def calm_log(now: Now) -> io.StringIO:
    stream = io.StringIO()
    logs.set_up(Log(), stream)
    (handler,) = logging.root.handlers
    handler.log._monotonic = now
    return stream


def test_a_warning_that_repeats_itself_is_told_once_and_then_with_its_count():
    now = Now()
    stream = calm_log(now)
    log = structlog.get_logger()
    for again_in_seconds in (1.0, 2.0, 4.0):
        log.warning("task.postponed", task="img_1", again_in_seconds=again_in_seconds)
    log.warning("task.postponed", task="img_2", again_in_seconds=1.0)
    assert [line["task"] for line in lines_of(stream)] == ["img_1", "img_2"]
    now.seconds = QUIET_SECONDS
    log.info("something.else")
    *_, counted, other = lines_of(stream)
    assert (counted["task"], counted["repeated"], counted["again_in_seconds"]) == ("img_1", 2, 4.0)
    assert other["event"] == "something.else"
    log.warning("task.postponed", task="img_1", again_in_seconds=1.0)
    assert "repeated" not in lines_of(stream)[-1]


def test_news_is_never_held_back_and_what_was_counted_is_told_at_the_end():
    stream = calm_log(Now())
    log = structlog.get_logger()
    for _ in range(3):
        log.info("task.submitted", task="img_1")
        log.warning("server.slow", server="a")
    (handler,) = logging.root.handlers
    handler.close()
    told = [(line["event"], line.get("repeated")) for line in lines_of(stream)]
    assert told.count(("task.submitted", None)) == 3
    assert told[-1] == ("server.slow", 2)


async def test_a_turn_of_the_loop_is_written_at_once_and_a_warning_when_it_comes():
    stream = io.StringIO()
    logs.set_up(Log(), stream)
    log = structlog.get_logger()

    def told() -> list[object]:
        return [line["event"] for line in lines_of(stream)]

    with logs.by_turns(asyncio.get_running_loop().call_soon):
        log.info("a")
        log.info("b")
        assert told() == []
        await asyncio.sleep(0)
        assert told() == ["a", "b"]
        log.info("c")
        log.warning("d")
        assert told() == ["a", "b", "c", "d"]
        log.info("e")
    assert told()[4:] == ["e"]


async def test_a_thread_tells_at_once_and_behind_what_the_loop_told_before():
    stream = io.StringIO()
    logs.set_up(Log(), stream)
    log = structlog.get_logger()
    with logs.by_turns(asyncio.get_running_loop().call_soon):
        log.info("before")
        thread = threading.Thread(target=log.info, args=("beside",))
        thread.start()
        thread.join()
        assert [line["event"] for line in lines_of(stream)] == ["before", "beside"]


def test_what_is_no_trouble_of_ours_is_not_logged_as_an_error():
    stream = io.StringIO()
    logs.set_up(Log(format="json"), stream)
    logging.getLogger("watchdog.observers").error("X() called when the thread is inactive")
    malformed = BadStatusLine("nonsense")
    logging.getLogger("aiohttp.server").error("Error handling request", exc_info=malformed)
    logging.getLogger("aiohttp.server").error("a real one")
    told, real = lines_of(stream)
    assert (told["level"], "exception" in told) == ("info", False)
    assert told["error"] == "BadStatusLine: 400, message: Bad status line 'nonsense'"
    assert real["level"] == "error"
