"""Listeners hear everything in order, or are told that they must begin anew."""

import asyncio
import re

import pytest

from daemon.web.feed import (
    MAX_LISTENERS,
    QUEUED_BYTES,
    QUIET_TICKS,
    REMEMBERED_EVENTS,
    SILENT_TICKS,
    STALLED_TICKS,
    TASKS_TOLD_ONE_BY_ONE,
    Feed,
)
from daemon.web.refusal import Refusal
from ledger.entry import transaction_of
from tests.fakes.records import task_record


@pytest.fixture
def feed():
    feed = Feed()
    with feed.listener(None):  # somebody was there, so that events are kept
        pass
    return feed


def told(feed, count=1, data="x"):
    for _ in range(count):
        feed.publish("servers", data)
        feed.flush()


def numbers(listener) -> list[int]:
    frames = b"".join(listener.take())
    return [int(number) for number in re.findall(rb"^id: \w+-(\d+)$", frames, re.MULTILINE)]


def test_a_new_listener_needs_a_snapshot_and_then_hears_what_comes(feed):
    told(feed)
    with feed.listener(None) as listener:
        assert listener.needs_snapshot
        listener.restart()
        told(feed)
        assert numbers(listener) == [2]


@pytest.mark.parametrize(("seen", "missed"), [(0, [1, 2, 3]), (1, [2, 3]), (3, [])])
def test_one_who_comes_back_hears_what_it_missed(feed, seen, missed):
    told(feed, 3)
    with feed.listener(feed.id_of(seen)) as listener:
        assert not listener.needs_snapshot
        assert numbers(listener) == missed


def test_what_is_no_longer_remembered_or_never_was_needs_a_snapshot(feed):
    with feed.listener(None):
        told(feed, REMEMBERED_EVENTS + 5)
    for last in (
        feed.id_of(3),
        feed.id_of(REMEMBERED_EVENTS + 6),
        "x-1",
        "",
        feed.id_of(-1),
        "²-²",
    ):
        with feed.listener(last) as listener:
            assert listener.needs_snapshot, last


def test_a_full_queue_is_dropped_and_a_snapshot_becomes_due(feed):
    with feed.listener(feed.now_id) as listener:
        told(feed, 3, "x" * (QUEUED_BYTES // 2))
        assert listener.needs_snapshot
        assert numbers(listener) == []
        listener.restart()
        told(feed)
        assert numbers(listener) == [4]


def test_a_tick_tells_each_task_once_as_it_stands_and_many_as_a_whole(feed):
    with feed.listener(feed.now_id) as listener:
        task = task_record(1)
        for version in (task, task.changed(at=task.updated_at, product_name="pot")):
            feed.follow(transaction_of(version, op="test"))
        feed.flush()
        (frames,) = listener.take()
        assert frames.count(b"event: task\n") == 1
        assert b'"product_name":"pot"' in frames
        many = [task_record(n) for n in range(TASKS_TOLD_ONE_BY_ONE + 1)]
        feed.follow(transaction_of(*many, op="test"))
        feed.flush()
        (frames,) = listener.take()
        assert b"event: task\n" not in frames
        assert f'"count":{len(many)}'.encode() in frames


class Gathering:
    """What a snapshot is made of; takes as long as the test lets it."""

    def __init__(self):
        self.begun = 0
        self.may_end = asyncio.Event()

    async def __call__(self):
        self.begun += 1
        await self.may_end.wait()
        return bytearray(b"%d" % self.begun)


async def test_all_who_begin_between_two_events_share_one_snapshot(feed):
    gathering = Gathering()
    with feed.listener(None):
        asking = [asyncio.ensure_future(feed.snapshot(gathering)) for _ in range(3)]
        await asyncio.sleep(0)
        feed.flush()  # nothing to tell
        gathering.may_end.set()
        assert len(set(await asyncio.gather(*asking))) == gathering.begun == 1
        feed.flush()
        assert await feed.snapshot(gathering) not in {each.result() for each in asking}


async def test_one_who_begins_after_an_event_gets_no_snapshot_from_before_it(feed):
    gathering = Gathering()
    with feed.listener(None):
        early = asyncio.ensure_future(feed.snapshot(gathering))
        await asyncio.sleep(0)
        told(feed)
        late = asyncio.ensure_future(feed.snapshot(gathering))
        gathering.may_end.set()
        assert (await early).endswith(b"data: 1\n\n")
        assert (await late).endswith(b"data: 2\n\n")
        assert feed.now_id.encode() not in await early
        assert feed.now_id.encode() in await late


def test_nothing_is_kept_when_nobody_has_listened_for_long(feed):
    told(feed)
    for _ in range(SILENT_TICKS):
        feed.flush()
    feed.follow(transaction_of(task_record(1), op="test"))
    assert not feed.touched
    with feed.listener(feed.id_of(0)) as listener:
        assert listener.needs_snapshot


class Client:
    def __init__(self):
        self.gone = False
        self.was_cut_off = False

    def is_gone(self):
        return self.gone

    def cut_off(self):
        self.was_cut_off = self.gone = True


async def test_a_wait_ends_with_an_event_when_the_client_leaves_or_with_the_feed(feed):
    client = Client()
    with feed.listener(feed.now_id, client) as listener:
        for end in (lambda: told(feed), lambda: setattr(client, "gone", True), feed.close):
            waiting = asyncio.ensure_future(listener.news())
            await asyncio.sleep(0)
            assert not waiting.done()
            end()
            feed.flush()
            await asyncio.wait_for(waiting, 1)
            list(listener.take())
            client.gone = False
    with pytest.raises(Refusal), feed.listener(None):
        pass


def test_one_that_takes_nothing_is_cut_off_and_one_that_takes_slowly_is_not(feed):
    deaf, slow = Client(), Client()
    with feed.listener(feed.now_id, deaf) as first, feed.listener(feed.now_id, slow) as second:
        with first.sending():
            for _piece in range(2):
                with second.sending():
                    for _ in range(STALLED_TICKS):
                        told(feed)
        assert (deaf.was_cut_off, slow.was_cut_off) == (True, False)


def test_a_silent_stream_says_now_and_then_that_it_lives(feed):
    with feed.listener(feed.now_id) as listener:
        for _ in range(QUIET_TICKS):
            feed.flush()
        assert list(listener.take()) == [b": alive\n\n"]


def test_nobody_is_heard_after_leaving_and_too_many_are_turned_away(feed):
    held = [feed.listener(None) for _ in range(MAX_LISTENERS)]
    for each in held:
        each.__enter__()
    assert feed.is_heard
    with pytest.raises(Refusal), feed.listener(None):
        pass
    for each in held:
        each.__exit__(None, None, None)
    assert not feed.is_heard
